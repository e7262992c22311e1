import { expect, test, vi } from "vitest";

vi.stubGlobal("document", { baseURI: "http://127.0.0.1/console/" });
vi.stubGlobal("sessionStorage", { getItem: () => null });
const { Messages } = await import("./events");

const STREAM =
  'retry: 2500\n\nid: 3\nevent: NodeCompleted\ndata: {"a": 1}\n\n: still here\n\nid: 4\nevent: end\ndata: {"b"\ndata: :2}\n\n';

test("a stream is the same however it is cut", () => {
  const whole = new Messages().take(STREAM);
  expect(whole).toEqual([
    { id: "3", event: "NodeCompleted", data: '{"a": 1}' },
    { id: "4", event: "end", data: '{"b"\n:2}' },
  ]);
  for (let size = 1; size < STREAM.length; size++) {
    const messages = new Messages();
    const found = [];
    for (let at = 0; at < STREAM.length; at += size) found.push(...messages.take(STREAM.slice(at, at + size)));
    expect(found).toEqual(whole);
    expect(messages.retry).toBe(2500);
  }
});
