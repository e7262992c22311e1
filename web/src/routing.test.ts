import { expect, test } from "vitest";
import { address, parse } from "./routing";

test("an address leads to where it was made for", () => {
  const made = address(["w", "a/b", "runs", "send[3]"], { node: "x y", none: undefined });
  const { parts, query } = parse(made);
  expect(parts).toEqual(["w", "a/b", "runs", "send[3]"]);
  expect(query.get("node")).toBe("x y");
  expect([...query.keys()]).toEqual(["node"]);
});

test("one that somebody has broken is no fault", () => {
  expect(parse("#/%E0%A4%A/x").parts).toEqual(["%E0%A4%A", "x"]);
  expect(parse("").parts).toEqual([]);
});
