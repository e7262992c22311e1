/** Where the nodes of a picture stand: from left to right, as runs go. */
import dagre from "@dagrejs/dagre";
import type { Definition, Event } from "../api/types";

export const WIDTH = 168;
export const HEIGHT = 62;

export function placed({ nodes, edges }: Definition): Map<string, { x: number; y: number }> {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 26, ranksep: 40, marginx: 8, marginy: 8 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of nodes) graph.setNode(node.id, { width: WIDTH, height: HEIGHT });
  for (const edge of edges) {
    if (graph.hasNode(edge.source) && graph.hasNode(edge.target)) graph.setEdge(edge.source, edge.target);
  }
  dagre.layout(graph);
  return new Map(
    nodes.map((node) => {
      const { x, y } = graph.node(node.id) as { x: number; y: number };
      return [node.id, { x: x - WIDTH / 2, y: y - HEIGHT / 2 }];
    }),
  );
}

export interface State {
  status: string;
  attempt: number;
}

const TOLD: Record<string, string> = {
  NodeScheduled: "scheduled",
  NodeStarted: "running",
  NodeCompleted: "completed",
  NodeFailed: "failed",
  NodeTimedOut: "timed_out",
  NodeSkipped: "skipped",
  NodeCancelled: "cancelled",
};

/** Where each node run stands: as the run has it, and for those it has forgotten, such as a loop's, by the events. */
export function standing(runs: Record<string, State>, events: Event[]): Record<string, State> {
  const found: Record<string, State> = {};
  for (const { type, attributes } of events) {
    const [key, status] = [attributes["node"], TOLD[type]];
    if (typeof key === "string" && status) found[key] = { status, attempt: Number(attributes["attempt"] ?? 1) };
  }
  return { ...found, ...runs };
}

const URGENT = ["failed", "timed_out", "running", "retrying", "waiting", "scheduled", "cancelled", "completed", "skipped"];

/** Runs of nodes by the node they are of: a loop has one an iteration, `send[3]`. */
export function byNode(runs: Record<string, State>): Map<string, { status: string; attempt: number; keys: string[]; over: number }> {
  const found = new Map<string, { status: string; attempt: number; keys: string[]; over: number }>();
  for (const [key, run] of Object.entries(runs)) {
    const id = key.split("[", 1)[0]!;
    const one = found.get(id) ?? { status: run.status, attempt: run.attempt, keys: [], over: 0 };
    if (rank(run.status) < rank(one.status)) Object.assign(one, run);
    one.keys.push(key);
    if (["completed", "skipped"].includes(run.status)) one.over += 1;
    found.set(id, one);
  }
  return found;
}

const rank = (status: string) => (URGENT.includes(status) ? URGENT.indexOf(status) : 4);
