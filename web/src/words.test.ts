import { expect, test } from "vitest";
import { ago, duration, spelled } from "./words";

test("durations have the unit that fits them", () => {
  expect([0, 0.4, 3, 999, 1500, 61_000, 7_260_000].map(duration)).toEqual([
    "0 ms", "<1 ms", "3 ms", "999 ms", "1.50 s", "1 min 1 s", "2 h 1 min",
  ]);
  expect(duration(null)).toBe("");
});

test("times are told from now", () => {
  const now = Date.parse("2026-11-23T12:00:00Z");
  expect(ago("2026-11-23T11:57:00Z", now)).toBe("3 minutes ago");
  expect(ago("2026-11-25T12:00:00Z", now)).toBe("in 2 days");
  expect(ago(null, now)).toBe("");
});

test("types of events are spelled out", () => {
  expect(spelled("NodeRetryScheduled")).toBe("Node retry scheduled");
});
