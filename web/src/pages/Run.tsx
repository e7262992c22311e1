import { Suspense, lazy, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { type Problem, api, content } from "../api/client";
import { follow } from "../api/events";
import type { Definition, Event, Run as Found } from "../api/types";
import { useLoaded, useSoon } from "../loading";
import { Act, Fault, Heading, Live, Status, Waiting, When, useNow } from "../parts/Basics";
import { Json } from "../parts/Json";
import { NodePanel } from "../parts/NodePanel";
import { Timeline } from "../parts/Timeline";
import { byNode, standing } from "../parts/layout";
import { address, go, usePlace } from "../routing";
import { began, duration, isOpen, short } from "../words";

const Graph = lazy(() => import("../parts/Graph"));

/** One run: where its nodes stand, as it happens, and what came in and out of each. */
export default function Run({ workspace, id }: { workspace: string; id: string }) {
  const path = { workspace_id: workspace, execution_id: id };
  const { query } = usePlace();
  const run = useLoaded(id, () =>
    content(api.GET("/api/v1/workspaces/{workspace_id}/executions/{execution_id}", { params: { path } })).then(
      (found) => found.execution,
    ),
  );
  const found = run.data;
  const { events, live } = useEvents(workspace, id, found, run.reload);
  const runs = useMemo(() => standing(found?.nodes ?? {}, events), [found?.nodes, events]);
  const workflow = useDefinition(workspace, found);
  const picked = query.get("node") ?? "";
  const pick = useCallback(
    (node: string) => go(address(["w", workspace, "runs", id], { node: node === picked ? "" : node }), true),
    [workspace, id, picked],
  );

  if (run.error && !found) return <Fault error={run.error} again={run.reload} />;
  if (!found) return <Waiting />;
  const node = workflow.data?.nodes.find((one) => one.id === picked);
  const keys = byNode(runs).get(picked)?.keys ?? [];
  return (
    <>
      <p className="crumb">
        <a href={address(["w", workspace, "runs"])}>Runs</a> /{" "}
        {workflow.data && <a href={address(["w", workspace, "workflows", found.workflow_id ?? ""])}>{workflow.data.name}</a>}{" "}
        (version {found.workflow_version})
      </p>
      <Heading title={`Run ${short(id)}`}>
        {isOpen(found.status) && <Live on={live} />}
        <Verbs workspace={workspace} run={found} done={run.reload} />
      </Heading>
      {run.error && <Fault error={run.error} again={run.reload} />}
      <Facts workspace={workspace} run={found} />
      <div className="card canvas">
        {workflow.error && <Fault error={workflow.error} />}
        {workflow.data && (
          <Suspense fallback={<Waiting what="Drawing" />}>
            <Graph definition={workflow.data} runs={runs} picked={picked} onPick={pick} />
          </Suspense>
        )}
      </div>
      <div className="work">
        <section className="card panel" aria-label={node ? "The chosen node" : "The run"}>
          {node ? (
            <NodePanel
              key={picked}
              workspace={workspace}
              run={found}
              runs={runs}
              node={node}
              keys={keys}
              events={events}
              onClose={() => pick(picked)}
            />
          ) : (
            <RunPanel run={found} onPick={pick} />
          )}
        </section>
        <Timeline events={events} picked={picked} onPick={pick} />
      </div>
    </>
  );
}

/** The events of a run as they come. Each of them is a reason to look again. A run that goes on after its end, because
 * somebody retries it, is followed once more from there. */
function useEvents(
  workspace: string,
  id: string,
  run: Found | null,
  changed: () => void,
): { events: Event[]; live: boolean | null } {
  const [events, setEvents] = useState<Event[]>([]);
  const [live, setLive] = useState<boolean | null>(null);
  const [round, setRound] = useState({ number: 0, from: 0, over: false });
  const soon = useSoon(changed);
  const coming = useRef<Event[]>([]);
  const show = useSoon(() => setEvents((old) => merged(old, coming.current.splice(0))), 50, 200);
  const { number, from } = round;
  useEffect(() => {
    let last = from;
    return follow(
      `/api/v1/workspaces/${workspace}/executions/${id}/stream`,
      {
        on: (message) => {
          if (message.event === "end") {
            setRound({ number, from: last, over: true });
            soon();
            return true;
          }
          const event = JSON.parse(message.data) as Event;
          last = event.event_id;
          coming.current.push(event);
          show();
          soon();
          return false;
        },
        state: setLive,
        refused: (_: Problem) => setLive(false),
      },
      from ? String(from) : "",
    );
  }, [workspace, id, number, soon, show]); // what a round begins from belongs to its number
  const again = round.over && run !== null && isOpen(run.status) && (run.last_event_id ?? 0) > round.from;
  useEffect(() => {
    if (again) setRound((one) => ({ ...one, number: one.number + 1, over: false }));
  }, [again]);
  return { events, live };
}

/** A stream that came back may say again what is known. */
function merged(old: Event[], more: Event[]): Event[] {
  const last = old.at(-1)?.event_id ?? 0;
  return [...old, ...more.filter((event) => event.event_id > last)];
}

/** The definition that a run goes by: that of its version, which may be another one than today's. */
function useDefinition(workspace: string, run: Found | null) {
  const key = run ? `${run.workflow_id}:${run.workflow_version}` : "";
  return useLoaded(key, async (): Promise<(Definition & { name: string }) | null> => {
    if (!run?.workflow_id) return null;
    const path = { workspace_id: workspace, workflow_id: run.workflow_id, version: run.workflow_version };
    const found = await content(
      api.GET("/api/v1/workspaces/{workspace_id}/workflows/{workflow_id}/versions/{version}", { params: { path } }),
    );
    return definition(found);
  });
}

/** The part of an answer about a version that a picture is drawn from. */
function definition(answer: unknown): Definition & { name: string } {
  const version = (answer as { version: Record<string, unknown> }).version;
  return (version["definition"] ?? version) as Definition & { name: string };
}

function Verbs({ workspace, run, done }: { workspace: string; run: Found; done: () => void }) {
  const path = { workspace_id: workspace, execution_id: run.id };
  const ask = (verb: "cancel" | "retry" | "pause" | "resume") => () =>
    content(
      api.POST(`/api/v1/workspaces/{workspace_id}/executions/{execution_id}/${verb}`, { params: { path }, body: { reason: "" } }),
    ).then(done);
  const again = async () => {
    const made = await content(
      api.POST("/api/v1/workspaces/{workspace_id}/executions/{execution_id}/rerun", { params: { path }, body: {} as never }),
    );
    go(address(["w", workspace, "runs", (made as unknown as { execution: { id: string } }).execution.id]));
  };
  return (
    <>
      {run.status === "running" && <Act label="Pause" work={ask("pause")} />}
      {run.status === "paused" && <Act label="Resume" className="primary" work={ask("resume")} />}
      {isOpen(run.status) && run.status !== "cancelling" && <Act label="Cancel" className="danger" work={ask("cancel")} />}
      {["failed", "timed_out"].includes(run.status) && <Act label="Retry" className="primary" work={ask("retry")} />}
      {!isOpen(run.status) && <Act label="Run again" work={again} />}
    </>
  );
}

function Facts({ workspace, run }: { workspace: string; run: Found }) {
  const open = isOpen(run.status);
  const now = useNow(open ? 1000 : 3_600_000);
  const since = run.started_at ? Date.parse(run.started_at) : now;
  const source = (run.source as { execution_id?: string } | null)?.execution_id;
  const to = (one: string) => <a href={address(["w", workspace, "runs", one])}>{short(one)}</a>;
  return (
    <p className="actions facts-line">
      <span role="status">
        <Status status={run.status} />
      </span>
      <span>
        {began(run.mode)}, <When at={run.started_at} />
      </span>
      <span>{open ? duration(Math.max(0, now - since)) : duration(run.duration_ms)}</span>
      {source && <span>made from {to(source)}</span>}
      {run.forks.length > 0 && <span>forks: {run.forks.map((one) => <span key={one.id}>{to(one.id)} </span>)}</span>}
    </p>
  );
}

function RunPanel({ run, onPick }: { run: Found; onPick: (node: string) => void }) {
  const error = run.error as { message?: string } | null;
  const failed = run.failed_node;
  const waits = useMemo(
    () => Object.entries(run.nodes).filter(([, one]) => one.status === "waiting").map(([key]) => key),
    [run.nodes],
  );
  return (
    <>
      <h2>The run</h2>
      {error && (
        <div className="fault">
          <p>{error.message ?? "It failed."}</p>
          {failed && (
            <button type="button" onClick={() => onPick(failed.split("[", 1)[0]!)}>
              To the node that failed
            </button>
          )}
        </div>
      )}
      {isOpen(run.status) && waits.length > 0 && <p>Waits at: {waits.join(", ")}</p>}
      <div className="sides">
        <div>
          <h3>Trigger data</h3>
          <Json value={run.trigger_data} label="trigger data" />
        </div>
        {!isOpen(run.status) && (
          <div>
            <h3>Result</h3>
            <Json value={run.result} label="result" />
          </div>
        )}
      </div>
      <p>
        <small>Choose a node in the picture to see what came in and out of it.</small>
      </p>
    </>
  );
}
