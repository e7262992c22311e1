import { useEffect, useState } from "react";
import { api, content } from "../api/client";
import { follow } from "../api/events";
import type { Approval } from "../api/types";
import { useLoaded, useSoon } from "../loading";
import { Act, Empty, Fault, Heading, Waiting, When } from "../parts/Basics";
import { Json } from "../parts/Json";
import { address } from "../routing";
import { short } from "../words";

/** What waits for somebody's decision. Runs that come to such a node turn up here while one looks. */
export default function Approvals({ workspace }: { workspace: string }) {
  const [mine, setMine] = useState(false);
  const [said, setSaid] = useState("");
  const found = useLoaded(`${workspace}:${mine}`, () =>
    content(
      api.GET("/api/v1/workspaces/{workspace_id}/approvals", {
        params: { path: { workspace_id: workspace }, query: { mine, per_page: 100 } },
      }),
    ),
  );
  const soon = useSoon(found.reload, 500, 3000);
  useEffect(
    () => follow(`/api/v1/workspaces/${workspace}/executions/stream`, { on: () => void soon() }),
    [workspace, soon],
  );
  const rows = found.data?.data ?? [];
  return (
    <>
      <Heading title="Approvals">
        <label className="inline">
          <input type="checkbox" checked={mine} onChange={(event) => setMine(event.target.checked)} />
          only those that ask me
        </label>
      </Heading>
      <p role="status" className="said">
        {said}
      </p>
      {found.error && <Fault error={found.error} again={found.reload} />}
      {!found.data && !found.error && <Waiting />}
      {found.data && rows.length === 0 && (
        <Empty title="Nothing waits for a decision">
          A run that comes to an approval node stops there, and is shown here until somebody approves or rejects it.
        </Empty>
      )}
      <div className="cards">
        {rows.map((one) => (
          <Card
            key={one.id}
            workspace={workspace}
            approval={one}
            onDecided={(decision) => {
              setSaid(`${one.title}: ${decision}.`);
              found.reload();
            }}
          />
        ))}
      </div>
    </>
  );
}

interface Props {
  workspace: string;
  approval: Approval;
  onDecided: (decision: string) => void;
}

function Card({ workspace, approval, onDecided }: Props) {
  const [comment, setComment] = useState("");
  const decide = (decision: "approved" | "rejected") => async () => {
    await content(
      api.POST("/api/v1/workspaces/{workspace_id}/approvals/{approval_id}/decision", {
        params: { path: { workspace_id: workspace, approval_id: approval.id } },
        body: { decision, comment },
      }),
    );
    onDecided(decision);
  };
  return (
    <article className="card" aria-label={approval.title}>
      <h2>{approval.title}</h2>
      {approval.description && <p>{approval.description}</p>}
      <p>
        <small>
          asked <When at={approval.requested_at} />
          {approval.due_at && (
            <>
              , due <When at={approval.due_at} />
            </>
          )}
          {approval.assignees.length > 0 && `, of ${approval.assignees.join(", ")}`}
          {approval.execution_id && (
            <>
              , in run{" "}
              <a href={address(["w", workspace, "runs", approval.execution_id], { node: approval.node_key.split("[", 1)[0] })}>
                {short(approval.execution_id)}
              </a>
            </>
          )}
        </small>
      </p>
      {approval.payload !== null && approval.payload !== undefined && (
        <Json value={approval.payload} label="what is to be decided" />
      )}
      <label>
        Comment
        <textarea rows={2} maxLength={2000} value={comment} onChange={(event) => setComment(event.target.value)} />
      </label>
      <div className="actions decide">
        <Act label="Approve" className="primary" work={decide("approved")} />
        <Act label="Reject" className="danger" work={decide("rejected")} />
      </div>
    </article>
  );
}
