import { expect, test } from "vitest";
import { byNode, placed, standing } from "./layout";

const node = (id: string) => ({ id, type: "noop" });

test("runs go from left to right, and no two nodes stand on each other", () => {
  const nodes = ["a", "b", "c", "d"].map(node);
  const edges = [["a", "b"], ["a", "c"], ["b", "d"], ["c", "d"], ["a", "gone"]].map(([source, target]) => ({
    source: source!, target: target!,
  }));
  const found = placed({ nodes, edges });
  expect(found.get("a")!.x).toBeLessThan(found.get("b")!.x);
  expect(found.get("b")!.x).toBeLessThan(found.get("d")!.x);
  expect(found.get("b")!.y).not.toBe(found.get("c")!.y);
});

test("of a loop's runs the one that matters most is shown", () => {
  const found = byNode({
    start: { status: "completed", attempt: 1 },
    "send[0]": { status: "completed", attempt: 1 },
    "send[1]": { status: "failed", attempt: 3 },
    "send[2]": { status: "running", attempt: 1 },
  });
  expect(found.get("send")).toEqual({ status: "failed", attempt: 3, keys: ["send[0]", "send[1]", "send[2]"], over: 1 });
  expect(found.get("start")!.status).toBe("completed");
});

test("what a run has forgotten is known by its events, and what it says itself counts", () => {
  const event = (type: string, node: string, attempt?: number) => ({ event_id: 1, at: "", type, attributes: { node, attempt } });
  const events = [
    event("NodeScheduled", "work[0]"), event("NodeCompleted", "work[0]", 2), event("NodeScheduled", "out"),
    event("TimerFired", "out"),
  ];
  expect(standing({ out: { status: "waiting", attempt: 1 } }, events)).toEqual({
    "work[0]": { status: "completed", attempt: 2 },
    out: { status: "waiting", attempt: 1 },
  });
});
