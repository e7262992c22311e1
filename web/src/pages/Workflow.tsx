import { Suspense, lazy, useState } from "react";
import { api, content } from "../api/client";
import type { Workflow as Found } from "../api/types";
import { useLoaded } from "../loading";
import { Act, Dialog, Fault, Heading, Waiting, When } from "../parts/Basics";
import { Json, JsonField, parsed } from "../parts/Json";
import { address, go, usePlace } from "../routing";

const Graph = lazy(() => import("../parts/Graph"));

/** One workflow as it runs today: its picture, what starts it, and a way to start it by hand. */
export default function Workflow({ workspace, id }: { workspace: string; id: string }) {
  const path = { workspace_id: workspace, workflow_id: id };
  const { query } = usePlace();
  const [starts, setStarts] = useState(false);
  const found = useLoaded(id, () =>
    content(api.GET("/api/v1/workspaces/{workspace_id}/workflows/{workflow_id}", { params: { path } })).then(
      (answer) => answer.workflow,
    ),
  );
  const workflow = found.data;
  if (found.error && !workflow) return <Fault error={found.error} again={found.reload} />;
  if (!workflow) return <Waiting />;
  const picked = query.get("node") ?? "";
  const pick = (node: string) =>
    go(address(["w", workspace, "workflows", id], { node: node === picked ? "" : node }), true);
  const turn = () =>
    content(
      api.POST(`/api/v1/workspaces/{workspace_id}/workflows/{workflow_id}/${workflow.is_active ? "deactivate" : "activate"}`, {
        params: { path },
      }),
    ).then(found.reload);
  const node = workflow.nodes.find((one) => one.id === picked);
  return (
    <>
      <p className="crumb">
        <a href={address(["w", workspace, "workflows"])}>Workflows</a> / version {workflow.version}
      </p>
      <Heading title={workflow.name}>
        <a className="button" href={address(["w", workspace, "runs"], { workflow: id })}>
          Its runs
        </a>
        {workflow.triggers.length > 0 && <Act label={workflow.is_active ? "Switch off" : "Switch on"} work={turn} />}
        <button type="button" className="primary" onClick={() => setStarts(true)}>
          Start
        </button>
      </Heading>
      {workflow.description && <p>{workflow.description}</p>}
      <div className="card canvas">
        <Suspense fallback={<Waiting what="Drawing" />}>
          <Graph definition={workflow} picked={picked} onPick={pick} />
        </Suspense>
      </div>
      <div className="below">
        <section className="card panel" aria-label={node ? "The chosen node" : "The workflow"}>
          {node ? (
            <>
              <h2>{node.name || node.id}</h2>
              <p>
                <small>
                  <code>{node.id}</code>, {node.type}
                </small>
              </p>
              <Json value={node} label="definition of the node" />
            </>
          ) : (
            <About workflow={workflow} />
          )}
        </section>
      </div>
      {starts && <Start workspace={workspace} workflow={workflow} onClose={() => setStarts(false)} />}
    </>
  );
}

function About({ workflow }: { workflow: Found }) {
  return (
    <>
      <h2>What starts it</h2>
      {workflow.triggers.length === 0 && <p>Somebody by hand, or a call of the API.</p>}
      <dl className="facts">
        {workflow.triggers.map((trigger, at) => (
          <div key={at} className="pairs">
            <dt>
              {trigger.type}, {trigger.is_active ? "on" : "off"}
            </dt>
            <dd>
              {trigger.url ? <code>{trigger.url}</code> : `${trigger.cron} ${trigger.timezone ?? ""}`}
              {trigger.next_at && (
                <>
                  , next <When at={trigger.next_at} />
                </>
              )}
            </dd>
          </div>
        ))}
      </dl>
      <h3>Definition</h3>
      <Json
        value={{ name: workflow.name, nodes: workflow.nodes, edges: workflow.edges, settings: workflow.settings }}
        label="definition"
      />
    </>
  );
}

function Start({ workspace, workflow, onClose }: { workspace: string; workflow: Found; onClose: () => void }) {
  const [text, setText] = useState("{}");
  const [key] = useState(() => `console-${Date.now()}-${Math.random().toString(36).slice(2)}`);
  const act = async () => {
    const made = await content(
      api.POST("/api/v1/workspaces/{workspace_id}/workflows/{workflow_id}/execute", {
        params: { path: { workspace_id: workspace, workflow_id: workflow.id } },
        body: { input: parsed(text) } as never,
        headers: { "Idempotency-Key": key }, // a start whose answer was lost is not a second run
      }),
    );
    go(address(["w", workspace, "runs", made.execution.id]));
  };
  return (
    <Dialog title={`Start ${workflow.name}`} act="Start" onAct={act} onClose={onClose}>
      <JsonField label="Input, as JSON" value={text} onChange={setText} />
    </Dialog>
  );
}
