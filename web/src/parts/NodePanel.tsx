import { useEffect, useState } from "react";
import { api, content, segment } from "../api/client";
import type { Event, Run } from "../api/types";
import { useLoaded } from "../loading";
import { address, go } from "../routing";
import { duration, isOpen, moment, spelled } from "../words";
import { Dialog, Fault, Status, Waiting } from "./Basics";
import type { State } from "./layout";
import { Json, JsonField, parsed } from "./Json";

interface Props {
  workspace: string;
  run: Run;
  /** Where all its node runs stand. */
  runs: Record<string, State>;
  node: { id: string; type: string; name?: string };
  /** Its runs in this run: one, or one an iteration of a loop. */
  keys: string[];
  events: Event[];
  onClose: () => void;
}

/** A node's part in a run: what came in, what came out or why not, and each attempt. */
export function NodePanel({ workspace, run, runs, node, keys, events, onClose }: Props) {
  const [chosen, setChosen] = useState("");
  const [forks, setForks] = useState(false);
  const key = keys.includes(chosen) ? chosen : (keys[0] ?? "");
  const mine = events.filter((event) => event.attributes["node"] === key);
  const stands = runs[key];
  const path = { workspace_id: workspace, execution_id: run.id, key: segment(key) };
  const found = useLoaded(key && `${key}:${stands?.status}:${stands?.attempt}`, async () =>
    key
      ? (
          await content(
            api.GET("/api/v1/workspaces/{workspace_id}/executions/{execution_id}/nodes/{key}", { params: { path } }),
          )
        ).node
      : null,
  );
  const one = found.data;
  const [last, setLast] = useState(one);
  useEffect(() => {
    if (one) setLast(one);
  }, [one]);
  const shown = one ?? (last?.key === key ? last : null);
  return (
    <>
      <div className="actions">
        <h2>{node.name || node.id}</h2>
        <button type="button" className="quiet" onClick={onClose} aria-label="Back to the run">
          Close
        </button>
      </div>
      <p>
        <small>
          <code>{key || node.id}</code>, {node.type}
        </small>
      </p>
      {keys.length > 1 && (
        <label className="inline">
          Iteration
          <select value={key} onChange={(event) => setChosen(event.target.value)}>
            {keys.map((name) => (
              <option key={name} value={name}>
                {name}: {runs[name]?.status}
              </option>
            ))}
          </select>
        </label>
      )}
      {!key && <p>{isOpen(run.status) ? "The run has not come to this node yet." : "The run did not come to this node."}</p>}
      {found.error && <Fault error={found.error} again={found.reload} />}
      {key && !shown && !found.error && <Waiting />}
      {shown && (
        <>
          <dl className="facts">
            <dt>Status</dt>
            <dd>
              <Status status={stands?.status ?? shown.status} />
            </dd>
            <dt>Attempt</dt>
            <dd>{shown.attempt}</dd>
            <dt>Took</dt>
            <dd>{duration(shown.duration_ms)}</dd>
            <dt>Started</dt>
            <dd>{moment(shown.started_at)}</dd>
          </dl>
          {shown.kept && <p>Kept from the run that this one was made from.</p>}
          {!isOpen(run.status) && !node.type.startsWith("trigger_") && (
            <button type="button" onClick={() => setForks(true)}>
              Fork from here
            </button>
          )}
          {shown.error !== null && shown.error !== undefined && (
            <>
              <h3>Error</h3>
              <div className="fault">
                <p>{(shown.error as { message?: string }).message ?? "It failed."}</p>
              </div>
              <Json value={shown.error} label="error" />
            </>
          )}
          <div className="sides">
            <div>
              <h3>Input</h3>
              <Json value={shown.input} label="input" />
            </div>
            <div>
              <h3>Output</h3>
              <Json value={shown.output} label="output" />
            </div>
          </div>
          {shown.logs.length > 0 && (
            <>
              <h3>Log</h3>
              <Json value={shown.logs} label="log" />
            </>
          )}
          <Attempts events={mine} />
        </>
      )}
      {forks && shown && <Fork workspace={workspace} run={run.id} node={key} input={shown.input} onClose={() => setForks(false)} />}
    </>
  );
}

function Attempts({ events }: { events: Event[] }) {
  const told = events.filter((event) => event.type.startsWith("Node") && event.attributes["attempt"]);
  if (told.length < 2) return null;
  return (
    <>
      <h3>Attempts</h3>
      <ol>
        {told.map((event) => (
          <li key={event.event_id}>
            {String(event.attributes["attempt"])}: {spelled(event.type).toLowerCase()}
            {said(event) && <small>{said(event)}</small>}
          </li>
        ))}
      </ol>
    </>
  );
}

export function said(event: Event): string {
  const error = event.attributes["error"] as { message?: string } | undefined;
  return error?.message ?? "";
}

interface ForkProps {
  workspace: string;
  run: string;
  node: string;
  input: unknown;
  onClose: () => void;
}

function Fork({ workspace, run, node, input, onClose }: ForkProps) {
  const before = JSON.stringify(input, null, 2) ?? "null";
  const whole = !before.includes('"$preview"') && !before.includes('"$blob"');
  const [edits, setEdits] = useState(false);
  const [text, setText] = useState(before);
  const act = async () => {
    const changed = edits ? { input: parsed(text) } : {};
    const made = await content(
      api.POST("/api/v1/workspaces/{workspace_id}/executions/{execution_id}/fork", {
        params: { path: { workspace_id: workspace, execution_id: run } },
        body: { node, ...changed } as never,
      }),
    );
    go(address(["w", workspace, "runs", (made as unknown as { execution: { id: string } }).execution.id]));
  };
  return (
    <Dialog title="Fork from here" act="Fork" onAct={act} onClose={onClose}>
      <p>
        A new run keeps what this one had done before <code>{node}</code>, and goes on from there. This one stays as it is.
      </p>
      <label className="inline">
        <input type="checkbox" checked={edits} disabled={!whole} onChange={(event) => setEdits(event.target.checked)} />
        Give it another input
      </label>
      {edits && <JsonField label="Input, as JSON" value={text} onChange={setText} />}
    </Dialog>
  );
}
