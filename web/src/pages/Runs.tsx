import { useEffect, useState } from "react";
import { api, content } from "../api/client";
import { follow } from "../api/events";
import type { Listed } from "../api/types";
import { useLoaded, useSoon } from "../loading";
import { Empty, Fault, Heading, Live, Status, Waiting, When } from "../parts/Basics";
import { address, go, usePlace } from "../routing";
import { STATUSES, began, duration, short, words } from "../words";

const PAGE = 30;
type Filter = { status: string; workflow: string };

/** The runs of a workspace, newest first; what changes is read again while one looks. */
export default function Runs({ workspace }: { workspace: string }) {
  const { query } = usePlace();
  const filter = { status: query.get("status") ?? "", workflow: query.get("workflow") ?? "" };
  const [older, setOlder] = useState<{ key: string; rows: Listed[]; cursor: string | null } | null>(null);
  const [live, setLive] = useState<boolean | null>(null);
  const key = JSON.stringify([workspace, filter]);
  const runs = useLoaded(key, () => page(workspace, filter));
  const workflows = useLoaded(workspace, () => names(workspace));
  const soon = useSoon(runs.reload, 300, 1500);

  useEffect(
    () => follow(`/api/v1/workspaces/${workspace}/executions/stream`, { on: () => void soon(), state: setLive }),
    [workspace, soon],
  );

  const filtered = filter.status !== "" || filter.workflow !== "";
  const more = older?.key === key ? older : null;
  const first = runs.data?.data ?? [];
  const known = new Set(first.map((run) => run.id));
  const rows = [...first, ...(more?.rows ?? []).filter((run) => !known.has(run.id))];
  const cursor = more ? more.cursor : (runs.data?.meta.next_cursor ?? null);
  const choose = (change: Partial<Filter>) => go(address(["w", workspace, "runs"], { ...filter, ...change }), true);
  const further = async () => {
    const found = await page(workspace, filter, cursor ?? "");
    setOlder({ key, rows: [...(more?.rows ?? []), ...found.data], cursor: found.meta.next_cursor });
  };

  return (
    <>
      <Heading title="Runs">
        <Live on={live} />
        <label className="inline">
          Status
          <select value={filter.status} onChange={(event) => choose({ status: event.target.value })}>
            <option value="">any</option>
            {STATUSES.map((one) => (
              <option key={one} value={one}>
                {words(one)}
              </option>
            ))}
          </select>
        </label>
        <label className="inline">
          Workflow
          <select value={filter.workflow} onChange={(event) => choose({ workflow: event.target.value })}>
            <option value="">any</option>
            {[...(workflows.data ?? [])].map(([id, name]) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </Heading>
      {runs.error && <Fault error={runs.error} again={runs.reload} />}
      {!runs.data && !runs.error && <Waiting />}
      {runs.data && rows.length === 0 && <Nothing workspace={workspace} filtered={filtered} />}
      {rows.length > 0 && <Table workspace={workspace} rows={rows} names={workflows.data ?? new Map()} />}
      {cursor && (
        <button type="button" className="further" onClick={() => void further().catch(() => runs.reload())}>
          Older runs
        </button>
      )}
    </>
  );
}

function Nothing({ workspace, filtered }: { workspace: string; filtered: boolean }) {
  if (filtered) {
    const all = <a href={address(["w", workspace, "runs"])}>Show all runs</a>;
    return (
      <Empty title="No run fits" action={all}>
        Runs with other statuses, or of other workflows, are not shown.
      </Empty>
    );
  }
  const to = (
    <a className="button primary" href={address(["w", workspace, "workflows"])}>
      To the workflows
    </a>
  );
  return (
    <Empty title="Nothing has run yet" action={to}>
      Choose a workflow and start it, or call its webhook. Its runs come up here by themselves.
    </Empty>
  );
}

function Table({ workspace, rows, names }: { workspace: string; rows: Listed[]; names: Map<string, string> }) {
  return (
    <div className="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">Run</th>
            <th scope="col">Status</th>
            <th scope="col">Workflow</th>
            <th scope="col">Started by</th>
            <th scope="col">Started</th>
            <th scope="col" className="number">
              Took
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((run) => (
            <tr key={run.id}>
              <td>
                <a href={address(["w", workspace, "runs", run.id])} title={run.id}>
                  <code>{short(run.id)}</code>
                </a>
              </td>
              <td>
                <Status status={run.status} />
              </td>
              <td>{names.get(run.workflow_id ?? "") ?? <code>{short(run.workflow_id ?? "")}</code>}</td>
              <td>{began(run.mode)}</td>
              <td>
                <When at={run.started_at} />
              </td>
              <td className="number">{duration(run.duration_ms)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function page(workspace: string, filter: Filter, cursor = "") {
  const query = { status: filter.status as "", workflow_id: filter.workflow, per_page: PAGE, cursor };
  return content(
    api.GET("/api/v1/workspaces/{workspace_id}/executions", { params: { path: { workspace_id: workspace }, query } }),
  );
}

/** Names of the workspace's workflows by id: the hundred that changed last. */
export async function names(workspace: string): Promise<Map<string, string>> {
  const found = await content(
    api.GET("/api/v1/workspaces/{workspace_id}/workflows", {
      params: { path: { workspace_id: workspace }, query: { per_page: 100, sort: "-updated_at" } },
    }),
  );
  return new Map(found.data.map((one) => [one.id, one.name]));
}
