/** How things are said. */
const OPEN = new Set(["queued", "collecting", "running", "cancelling", "paused"]);
export const STATUSES = [
  "queued", "collecting", "running", "cancelling", "paused", "completed", "failed", "cancelled", "timed_out", "terminated",
] as const;

const BEGAN: Record<string, string> = {
  manual: "by hand",
  api: "by the API",
  webhook: "by a webhook",
  schedule: "by a schedule",
  retry: "a retry",
  sub_workflow: "by another run",
  error: "by a run that failed",
  fork: "a fork",
  rerun: "run again",
  test: "a test",
  notification: "a notification",
};

export const began = (mode: string) => BEGAN[mode] ?? words(mode);
export const isOpen = (status: string) => OPEN.has(status);
export const words = (name: string) => name.replaceAll("_", " ");

/** `NodeCompleted` as "Node completed". */
export function spelled(type: string): string {
  const text = type.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "";
  if (ms < 1) return ms > 0 ? "<1 ms" : "0 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const STEPS: [number, Intl.RelativeTimeFormatUnit][] = [
  [86_400_000, "day"], [3_600_000, "hour"], [60_000, "minute"], [1000, "second"],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** "3 minutes ago", "in 2 days". */
export function ago(at: string | null, now: number): string {
  if (!at) return "";
  const distance = Date.parse(at) - now;
  const [size, unit] = STEPS.find(([size]) => Math.abs(distance) >= size) ?? [1000, "second"];
  return relative.format(Math.round(distance / size), unit);
}

export const moment = (at: string | null) => (at ? new Date(at).toLocaleString() : "");
export const clock = (at: string) => new Date(at).toISOString().slice(11, 23);
export const short = (id: string) => id.slice(-12);
