import { useState } from "react";
import { api, content } from "../api/client";
import { useLoaded } from "../loading";
import { Dialog, Empty, Fault, Heading, Waiting, When } from "../parts/Basics";
import { JsonField, parsed } from "../parts/Json";
import { address, go } from "../routing";

const EXAMPLE = {
  name: "My first workflow",
  nodes: [
    { id: "start", type: "trigger_manual", name: "Start" },
    { id: "pause", type: "delay", name: "Take a breath", config: { seconds: 2 } },
    {
      id: "greet",
      type: "transform",
      name: "Greet",
      config: { keep: false, fields: { greeting: "Hello, {{ trigger.name ?? 'world' }}!" } },
    },
  ],
  edges: [
    { id: "e1", source: "start", target: "pause" },
    { id: "e2", source: "pause", target: "greet" },
  ],
};

/** The workflows of a workspace, and a first one for who has none. */
export default function Workflows({ workspace }: { workspace: string }) {
  const [makes, setMakes] = useState(false);
  const found = useLoaded(workspace, () =>
    content(
      api.GET("/api/v1/workspaces/{workspace_id}/workflows", {
        params: { path: { workspace_id: workspace }, query: { per_page: 100, sort: "-updated_at" } },
      }),
    ),
  );
  const rows = found.data?.data ?? [];
  const add = (
    <button type="button" className="primary" onClick={() => setMakes(true)}>
      New workflow
    </button>
  );
  return (
    <>
      <Heading title="Workflows">{rows.length > 0 && add}</Heading>
      {found.error && <Fault error={found.error} again={found.reload} />}
      {!found.data && !found.error && <Waiting />}
      {found.data && rows.length === 0 && (
        <Empty title="No workflows yet" action={add}>
          Begin with the example, or paste one that was exported elsewhere. On the command line: linkflow workflow push FILE
        </Empty>
      )}
      {rows.length > 0 && (
        <div className="scroll">
          <table>
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">Switched on</th>
                <th scope="col">Started by</th>
                <th scope="col">Version</th>
                <th scope="col">Changed</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((one) => (
                <tr key={one.id}>
                  <td>
                    <a href={address(["w", workspace, "workflows", one.id])}>{one.name}</a>
                  </td>
                  <td>{one.is_active ? "yes" : "no"}</td>
                  <td>{[...new Set(one.triggers.map((trigger) => trigger.type))].join(", ") || "hand"}</td>
                  <td>{one.version}</td>
                  <td>
                    <When at={one.updated_at} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {found.data?.meta.next_cursor && <p>The hundred that changed last are shown.</p>}
      {makes && <New workspace={workspace} onClose={() => setMakes(false)} />}
    </>
  );
}

function New({ workspace, onClose }: { workspace: string; onClose: () => void }) {
  const [text, setText] = useState(JSON.stringify(EXAMPLE, null, 2));
  const act = async () => {
    const made = await content(
      api.POST("/api/v1/workspaces/{workspace_id}/workflows", {
        params: { path: { workspace_id: workspace } },
        body: parsed(text) as never,
      }),
    );
    go(address(["w", workspace, "workflows", made.workflow.id]));
  };
  return (
    <Dialog title="New workflow" act="Save" onAct={act} onClose={onClose}>
      <p>As JSON: its nodes, and the edges between them. What is wrong with it is said all at once.</p>
      <JsonField label="Definition" value={text} onChange={setText} />
    </Dialog>
  );
}
