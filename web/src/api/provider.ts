/**
 * Signing in by a provider (OpenID Connect): the browser goes there and comes back to this page with a code behind the #,
 * which is worth nothing without the verifier that this tab kept (RFC 7636).
 */
import { address, parse } from "../routing";
import { content, open } from "./client";
import { type Answer, signedIn } from "./session";

const KEY = "linkflow.provider";

export interface Back {
  code: string;
  verifier: string;
  error: string;
}

/** Hashing is for pages over TLS and of this machine alone. */
export const possible = globalThis.isSecureContext && !!globalThis.crypto?.subtle;

/** Goes to a provider; `url` is where the API has one begin. */
export async function leave(url: string): Promise<void> {
  const verifier = base64url(crypto.getRandomValues(new Uint8Array(32)));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  sessionStorage.setItem(KEY, JSON.stringify({ verifier, place: location.hash }));
  const asked = new URLSearchParams({ redirect: "/console/", challenge: base64url(new Uint8Array(digest)) });
  location.assign(`${url}?${asked}`);
}

/** At the start: with what somebody came back, if he did. The address is then what it was before. */
export function cameBack(): Back | null {
  const came = new URLSearchParams(location.hash.replace(/^#/, ""));
  const [code, error] = [came.get("code") ?? "", came.get("error") ?? ""];
  if (!code && !error) return null;
  const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "{}") as { verifier?: string; place?: string };
  sessionStorage.removeItem(KEY);
  const { parts, query } = parse(kept.place ?? "");
  history.replaceState(null, "", address(parts, Object.fromEntries(query)));
  return { code, verifier: kept.verifier ?? "", error };
}

/** Trades the code in; the same one may be tried again with a code of the second factor. */
export async function exchange(back: Back, otp: string): Promise<void> {
  const body = { code: back.code, verifier: back.verifier, otp };
  signedIn((await content(open.POST("/api/v1/auth/oidc/exchange", { body }))) as Answer);
}

const base64url = (bytes: Uint8Array) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
