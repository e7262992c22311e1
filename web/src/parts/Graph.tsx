import { Background, Controls, type Edge, Handle, type Node, type NodeProps, Position, ReactFlow } from "@xyflow/react";
import "@xyflow/react/dist/style.css";
import { memo, useMemo } from "react";
import type { Definition } from "../api/types";
import { words } from "../words";
import { HEIGHT, type State, WIDTH, byNode, placed } from "./layout";

interface Step extends Record<string, unknown> {
  name: string;
  type: string;
  status: string;
  note: string;
  picked: boolean;
  pick: () => void;
}

interface Props {
  definition: Definition;
  /** Where the runs of its nodes stand, by key; without it the picture is of the workflow alone. */
  runs?: Record<string, State>;
  picked: string;
  onPick: (node: string) => void;
}

/** The picture of a workflow, or of a run of it. Every node is a button: it is reached and read without a mouse. */
export default function Graph({ definition, runs, picked, onPick }: Props) {
  const places = useMemo(() => placed(definition), [definition]);
  const states = useMemo(() => byNode(runs ?? {}), [runs]);
  const nodes = definition.nodes.map((node): Node<Step> => {
    const state = states.get(node.id);
    const many = (state?.keys.length ?? 0) > 1 ? `${state!.over} of ${state!.keys.length}` : "";
    const again = (state?.attempt ?? 1) > 1 ? `attempt ${state!.attempt}` : "";
    return {
      id: node.id,
      type: "step",
      position: places.get(node.id) ?? { x: 0, y: 0 },
      width: WIDTH,
      height: HEIGHT,
      data: {
        name: node.name || node.id,
        type: node.type,
        status: state?.status ?? "",
        note: [state ? words(state.status) : runs ? "not reached" : "", again, many].filter(Boolean).join(" · "),
        picked: picked === node.id,
        pick: () => onPick(node.id),
      },
    };
  });
  const edges = definition.edges.map((edge, at): Edge => {
    const done = states.get(edge.target)?.status;
    return {
      id: edge.id ?? `e${at}`,
      source: edge.source,
      target: edge.target,
      label: edge.source_output && edge.source_output !== "main" ? edge.source_output : undefined,
      animated: done === "running",
      className: done === "skipped" ? "passed-by" : undefined,
    };
  });
  return (
    <ReactFlow
      nodes={nodes}
      edges={edges}
      nodeTypes={KINDS}
      fitView
      fitViewOptions={{ maxZoom: 1.1, padding: 0.08 }}
      minZoom={0.15}
      nodesDraggable={false}
      nodesConnectable={false}
      nodesFocusable={false}
      edgesFocusable={false}
      elementsSelectable={false}
      zoomOnScroll={false}
      preventScrolling={false}
      colorMode="system"
      aria-label="Picture of the workflow"
    >
      <Background gap={18} />
      <Controls showInteractive={false} />
    </ReactFlow>
  );
}

const StepNode = memo(function StepNode({ data }: NodeProps<Node<Step>>) {
  return (
    <>
      <Handle type="target" position={Position.Left} />
      <button
        type="button"
        className={`step nopan ${data.status ? `is-${data.status}` : ""} ${data.picked ? "picked" : ""}`}
        aria-pressed={data.picked}
        title={data.name}
        onClick={data.pick}
      >
        <b>{data.name}</b>
        <span>{data.type}</span>
        {data.note && <span className="state">{data.note}</span>}
      </button>
      <Handle type="source" position={Position.Right} />
    </>
  );
});

const KINDS = { step: StepNode };
