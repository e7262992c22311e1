import type { ReactNode } from "react";
import { api } from "../api/client";
import { session, signedOut } from "../api/session";
import type { Workspace } from "../api/types";
import icon from "../icon.svg";
import { address, go, usePlace } from "../routing";

const PAGES = [
  ["runs", "Runs"],
  ["workflows", "Workflows"],
  ["approvals", "Approvals"],
] as const;

export function Shell({ spaces, space, children }: { spaces: Workspace[]; space: Workspace | null; children: ReactNode }) {
  const { parts } = usePlace();
  const user = session()?.user;
  const leave = async () => {
    await api.POST("/api/v1/auth/logout").catch(() => undefined); // here it is over in any case
    signedOut();
    go("#/", true);
  };
  return (
    <>
      <a
        className="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById("main")?.focus();
        }}
      >
        Skip to the content
      </a>
      <header className="bar">
        <a className="brand" href={space ? address(["w", space.id, "runs"]) : "#/"}>
          <img src={icon} alt="" width="26" height="26" />
          LinkFlow
        </a>
        {spaces.length > 0 && (
          <select
            aria-label="Workspace"
            value={space?.id ?? ""}
            onChange={(event) => go(address(["w", event.target.value, "runs"]))}
          >
            {!space && <option value="">Choose a workspace</option>}
            {spaces.map((one) => (
              <option key={one.id} value={one.id}>
                {one.name}
              </option>
            ))}
          </select>
        )}
        {space && (
          <nav aria-label="Pages">
            {PAGES.map(([name, label]) => (
              <a key={name} href={address(["w", space.id, name])} aria-current={parts[2] === name ? "page" : undefined}>
                {label}
              </a>
            ))}
          </nav>
        )}
        <div className="who">
          <span title={user?.email}>{user?.first_name || user?.email}</span>
          <button type="button" className="quiet" onClick={() => void leave()}>
            Sign out
          </button>
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </>
  );
}
