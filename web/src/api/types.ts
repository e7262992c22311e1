import type { paths } from "./schema";

type W = "/api/v1/workspaces/{workspace_id}";
type Got<P extends keyof paths> = paths[P] extends {
  get: { responses: { 200: { content: { "application/json": infer Answer } } } };
}
  ? Answer
  : never;

export type Workspace = Got<"/api/v1/workspaces">["data"][number];
export type Listed = Got<`${W}/executions`>["data"][number];
export type Run = Got<`${W}/executions/{execution_id}`>["execution"];
export type Workflow = Got<`${W}/workflows/{workflow_id}`>["workflow"];
export type WorkflowListed = Got<`${W}/workflows`>["data"][number];
export type Approval = Got<`${W}/approvals`>["data"][number];
export type NodeRun = Got<`${W}/executions/{execution_id}/nodes`>["data"][number];

/** What a picture of a workflow is drawn from: today's definition, or that of a version. */
export interface Definition {
  nodes: { id: string; type: string; name?: string; position?: { x: number; y: number } }[];
  edges: { id?: string; source: string; target: string; source_output?: string }[];
}

export interface Event {
  event_id: number;
  at: string;
  type: string;
  attributes: Record<string, unknown>;
}
