/**
 * Who is signed in. Tokens are in memory and, so that a reload does not sign out, in this tab's own sessionStorage:
 * nothing stays on the machine when the last tab is closed. Tabs hand the session on to each other, because a refresh
 * token is good for one use: the tab that trades it in tells the others what came back.
 */
export interface User {
  id: string;
  email: string;
  first_name: string;
  last_name: string;
}
export interface Session {
  access: string;
  refresh: string;
  /** When the access token is over, in ms since the epoch. */
  until: number;
  user: User;
}
export interface Answer {
  access_token: string;
  refresh_token: string;
  expires_in: number;
  user: User;
}
type Said = { kind: "ask" } | { kind: "have"; session: Session } | { kind: "gone"; user: string };

const KEY = "linkflow.session";
const MARGIN = 30_000;
const PATIENCE = 150;
/** Where the API is: the page stands at <root>/console/. */
export const root = document.baseURI.replace(/[?#].*$/, "").replace(/\/$/, "").replace(/\/console$/, "");

let current: Session | null = read();
let ended = false;
const listeners = new Set<() => void>();
const tabs = "BroadcastChannel" in globalThis ? new BroadcastChannel(KEY) : null;

tabs?.addEventListener("message", ({ data }: MessageEvent<Said>) => {
  if (data.kind === "ask") {
    if (current) say({ kind: "have", session: current });
  } else if (data.kind === "gone") {
    if (current?.user.id === data.user) keep(null);
  } else if (!current ? !ended : current.user.id === data.session.user.id && data.session.until > current.until) {
    keep(data.session);
  }
});

/** For useSyncExternalStore. */
export const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => void listeners.delete(listener);
};
export const session = () => current;

/** At the start: another tab's session, if this one has none. */
export async function begin(): Promise<void> {
  if (!current) await heard();
}

export function signedIn(answer: Answer): void {
  keep({
    access: answer.access_token,
    refresh: answer.refresh_token,
    until: Date.now() + answer.expires_in * 1000,
    user: answer.user,
  });
  if (current) say({ kind: "have", session: current });
}

export function signedOut(): void {
  if (current) say({ kind: "gone", user: current.user.id });
  keep(null);
}

/** A token that is good now; null where nobody is signed in. Throws where the API cannot be reached. */
export async function token(): Promise<string | null> {
  if (!current) return null;
  if (current.until - MARGIN > Date.now()) return current.access;
  return renew(current.access);
}

/** Another access token than this one, which the API refused or which is over. One tab at a time asks for it. */
export function renew(stale: string): Promise<string | null> {
  return alone(async () => {
    if (current?.access === stale) await heard(stale);
    if (!current || current.access !== stale) return current?.access ?? null;
    const answer = await fetch(`${root}/api/v1/auth/refresh`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ refresh_token: current.refresh }),
    });
    if (answer.ok) signedIn((await answer.json()) as Answer);
    else if (answer.status < 500 && answer.status !== 429) signedOut();
    else throw new Error("The API does not answer now. Try again in a moment.");
    return session()?.access ?? null;
  });
}

/** Asks the other tabs, and waits a moment for a session that is not this one. */
function heard(stale = ""): Promise<void> {
  return new Promise((done) => {
    const found = () => {
      if (!current || current.access === stale) return;
      clearTimeout(late);
      stop();
      done();
    };
    const stop = subscribe(found);
    const late = setTimeout(() => (stop(), done()), tabs ? PATIENCE : 0);
    say({ kind: "ask" });
  });
}

let queue: Promise<unknown> = Promise.resolve();

/** `navigator.locks` is only there over TLS and on this machine; elsewhere a tab is at least alone with itself. */
function alone<T>(work: () => Promise<T>): Promise<T> {
  if (navigator.locks) return navigator.locks.request(KEY, work) as Promise<T>;
  const turn = queue.then(work, work);
  queue = turn.catch(() => undefined);
  return turn;
}

function keep(found: Session | null): void {
  ended = current !== null && found === null;
  current = found;
  try {
    if (found) sessionStorage.setItem(KEY, JSON.stringify(found));
    else sessionStorage.removeItem(KEY);
  } catch {
    // A browser that keeps nothing: this tab goes on until it is reloaded.
  }
  for (const listener of [...listeners]) listener();
}

function read(): Session | null {
  try {
    const text = sessionStorage.getItem(KEY);
    return text ? (JSON.parse(text) as Session) : null;
  } catch {
    return null;
  }
}

function say(what: Said): void {
  tabs?.postMessage(what);
}
