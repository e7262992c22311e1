import { Suspense, lazy, useEffect, useState, useSyncExternalStore } from "react";
import { api, content } from "./api/client";
import type { Back } from "./api/provider";
import { session, subscribe } from "./api/session";
import type { Workspace } from "./api/types";
import { useLoaded } from "./loading";
import { SignIn } from "./pages/SignIn";
import { Empty, Fault, Waiting } from "./parts/Basics";
import { Guard } from "./parts/Guard";
import { Shell } from "./parts/Shell";
import { address, go, usePlace } from "./routing";

const Runs = lazy(() => import("./pages/Runs"));
const Run = lazy(() => import("./pages/Run"));
const Workflows = lazy(() => import("./pages/Workflows"));
const Workflow = lazy(() => import("./pages/Workflow"));
const Approvals = lazy(() => import("./pages/Approvals"));

const LAST = "linkflow.workspace";

export function App({ back }: { back: Back | null }) {
  const who = useSyncExternalStore(subscribe, session);
  const [came, setCame] = useState(back);
  useEffect(() => {
    if (who) setCame(null); // the code was good for this once
  }, [who]);
  return who ? <Inside key={who.user.id} /> : <SignIn back={came} />;
}

/** What somebody sees who has signed in: the workspace of the address, or the one that was open last. */
function Inside() {
  const { parts } = usePlace();
  const found = useLoaded("workspaces", () => content(api.GET("/api/v1/workspaces")));
  const spaces = found.data?.data ?? [];
  const wanted = parts[0] === "w" ? parts[1] : undefined;
  const space = wanted ? spaces.find((one) => one.id === wanted) : remembered(spaces);
  const there = parts[0] === "w" && parts.length > 2;

  useEffect(() => {
    if (space && wanted) remember(space);
    if (space && !there) go(address(["w", space.id, "runs"]), true);
  }, [space, wanted, there]);

  if (found.error && !found.data) return <Fault error={found.error} again={found.reload} />;
  if (!found.data) return <Waiting />;
  return (
    <Shell spaces={spaces} space={space ?? null}>
      {space ? (
        <Guard place={parts.join("/")}>
          <Suspense fallback={<Waiting />}>
            <Page space={space} parts={parts.slice(2)} />
          </Suspense>
        </Guard>
      ) : wanted ? (
        <Empty title="This workspace is not yours">
          Choose another one above, or ask one of its owners to invite you: the address is right, but it leads to where you
          may not look.
        </Empty>
      ) : (
        <Empty title="You are in no workspace">Ask an owner to invite you, or make one: linkflow workspace add NAME</Empty>
      )}
    </Shell>
  );
}

function Page({ space, parts }: { space: Workspace; parts: string[] }) {
  const [what, id] = parts;
  if (what === "runs" && id) return <Run key={id} workspace={space.id} id={id} />;
  if (what === "runs") return <Runs workspace={space.id} />;
  if (what === "workflows" && id) return <Workflow key={id} workspace={space.id} id={id} />;
  if (what === "workflows") return <Workflows workspace={space.id} />;
  if (what === "approvals") return <Approvals workspace={space.id} />;
  return what ? <Empty title="There is no such page">Take one of those above.</Empty> : <Waiting />;
}

function remember(space: Workspace): void {
  try {
    localStorage.setItem(LAST, space.id);
  } catch {
    // A browser that keeps nothing.
  }
}

function remembered(spaces: Workspace[]): Workspace | undefined {
  let last: string | null = null;
  try {
    last = localStorage.getItem(LAST);
  } catch {
    // A browser that keeps nothing.
  }
  return spaces.find((one) => one.id === last) ?? spaces[0];
}
