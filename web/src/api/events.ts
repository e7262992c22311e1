/** Server-sent events over `fetch`: `EventSource` takes no Authorization header. */
import { Problem, authorized } from "./client";
import { root } from "./session";

export interface Message {
  id: string;
  event: string;
  data: string;
}

/** Cuts a stream of text into messages, however it comes in pieces. */
export class Messages {
  #rest = "";
  /** Milliseconds after which to come back, as the server wants it. */
  retry = 1000;

  take(text: string): Message[] {
    const parts = (this.#rest + text).replaceAll("\r\n", "\n").split("\n\n");
    this.#rest = parts.pop() ?? "";
    return parts.map((part) => this.#read(part)).filter((one) => one !== null);
  }

  #read(part: string): Message | null {
    const found: Message = { id: "", event: "message", data: "" };
    let said = false;
    for (const line of part.split("\n")) {
      const at = line.indexOf(":");
      const field = at < 0 ? line : line.slice(0, at);
      const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
      if (field === "data") {
        found.data += (said ? "\n" : "") + value;
        said = true;
      } else if (field === "id") found.id = value;
      else if (field === "event") found.event = value;
      else if (field === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
    }
    return said ? found : null;
  }
}

interface Follower {
  /** True ends it. */
  on: (message: Message) => boolean | void;
  /** Whether it gets through. Where answers are given out whole, each ends soon, and that is no fault. */
  state?: (live: boolean) => void;
  /** A refusal, such as of a run that is gone; nothing follows. */
  refused?: (problem: Problem) => void;
}

const LONGEST = 15_000;

/**
 * Follows a stream until `on` says so; returns what stops it. It comes back by itself from where it was, and rests
 * while nobody looks at the page: a hidden tab costs nothing.
 */
export function follow(path: string, follower: Follower, last = ""): () => void {
  const stopped = new AbortController();
  void run(path, follower, last, stopped.signal);
  return () => stopped.abort();
}

async function run(path: string, follower: Follower, last: string, stopped: AbortSignal): Promise<void> {
  let failures = 0;
  while (!stopped.aborted) {
    await seen(stopped);
    if (stopped.aborted) return;
    const messages = new Messages();
    const hidden = new AbortController();
    const hide = () => document.hidden && hidden.abort();
    document.addEventListener("visibilitychange", hide);
    try {
      const answer = await authorized(
        new Request(root + path, {
          headers: last ? { "Last-Event-ID": last } : {},
          signal: AbortSignal.any([stopped, hidden.signal]),
        }),
      );
      if (!answer.ok || !answer.body) {
        const told = (await answer.json().catch(() => ({}))) as object;
        const problem = new Problem(told, answer.status);
        if (answer.status < 500 && answer.status !== 429) return follower.refused?.(problem);
        throw problem;
      }
      failures = 0;
      follower.state?.(true);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        for (const message of messages.take(part.value)) {
          if (message.id) last = message.id;
          if (follower.on(message)) return void reader.cancel();
        }
      }
    } catch {
      if (!hidden.signal.aborted && !stopped.aborted) {
        failures += 1;
        follower.state?.(false);
      }
    } finally {
      document.removeEventListener("visibilitychange", hide);
    }
    if (!hidden.signal.aborted) await rest(Math.min(LONGEST, messages.retry * 2 ** failures), stopped);
  }
}

/** Until somebody looks at the page. */
function seen(stopped: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (!document.hidden || stopped.aborted) return done();
    const look = () => {
      if (document.hidden && !stopped.aborted) return;
      document.removeEventListener("visibilitychange", look);
      stopped.removeEventListener("abort", look);
      done();
    };
    document.addEventListener("visibilitychange", look);
    stopped.addEventListener("abort", look);
  });
}

function rest(ms: number, stopped: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const over = () => (clearTimeout(timer), stopped.removeEventListener("abort", over), done());
    const timer = setTimeout(over, ms);
    stopped.addEventListener("abort", over);
  });
}
