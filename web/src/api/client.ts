/** The API, typed by its own OpenAPI document. */
import createClient, { type FetchResponse } from "openapi-fetch";
import type { components, paths } from "./schema";
import { renew, root, token } from "./session";

type Told = components["schemas"]["Problem"];

/** What the API refused, in its own words (RFC 9457). */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly errors: { pointer: string; detail: string }[];

  constructor(told: Partial<Told>, status: number) {
    super(told.detail ?? told.title ?? `The API answered ${status}.`);
    this.status = status;
    this.code = told.code ?? "";
    this.errors = told.errors ?? [];
  }
}

/** With the token of whoever is signed in, renewed where it is over. */
export async function authorized(request: Request): Promise<Response> {
  const first = await token();
  const answer = await send(request.clone(), first);
  if (answer.status !== 401 || !first) return answer;
  const next = await renew(first);
  return next ? send(request, next) : answer;
}

async function send(request: Request, access: string | null): Promise<Response> {
  if (access) request.headers.set("Authorization", `Bearer ${access}`);
  try {
    return await fetch(request);
  } catch (error) {
    if (request.signal.aborted) throw error;
    throw new Error("The API cannot be reached. Check the network, and try again.");
  }
}

export const api = createClient<paths>({ baseUrl: root, fetch: authorized });
/** For what is asked before somebody is signed in. */
export const open = createClient<paths>({ baseUrl: root });

/** The answer's content, or the problem thrown. */
export async function content<T extends Record<string | number, unknown>, O, M extends `${string}/${string}`>(
  asked: Promise<FetchResponse<T, O, M>>,
): Promise<NonNullable<FetchResponse<T, O, M>["data"]>> {
  const { data, error, response } = await asked;
  if (!response.ok || data === undefined) {
    throw new Problem((error as Partial<Told> | undefined) ?? {}, response.status);
  }
  return data as NonNullable<FetchResponse<T, O, M>["data"]>;
}

/** What stands behind a link that the API gave, such as a large payload's. */
export async function linked(href: string): Promise<unknown> {
  const answer = await authorized(new Request(new URL(root).origin + href));
  const found: unknown = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(found as Partial<Told>, answer.status);
  return found;
}

/** A node run's key as a part of a path. */
export const segment = (key: string) => encodeURIComponent(key).replaceAll("~", "%7E").replaceAll("%", "~");
