import { type ReactNode, useEffect, useRef, useState } from "react";
import { Problem } from "../api/client";
import { ago, moment, words } from "../words";

export function Status({ status }: { status: string }) {
  return <span className={`status is-${status}`}>{words(status)}</span>;
}

export function Empty({ title, children, action }: { title: string; children: ReactNode; action?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      <p>{children}</p>
      {action}
    </div>
  );
}

export function Waiting({ what = "Loading" }: { what?: string }) {
  return (
    <p className="waiting" role="status">
      {what} …
    </p>
  );
}

/** What went wrong, in the API's own words, with each problem of a form. */
export function Fault({ error, again }: { error: Error; again?: () => void }) {
  const problems = error instanceof Problem ? error.errors : [];
  return (
    <div className="fault" role="alert">
      <p>{error.message}</p>
      {problems.length > 0 && (
        <ul>
          {problems.map((one, at) => (
            <li key={at}>
              {one.pointer && <code>{one.pointer}</code>} {one.detail}
            </li>
          ))}
        </ul>
      )}
      {again && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Whether what is shown follows what happens: null before one knows. */
export function Live({ on }: { on: boolean | null }) {
  return (
    <span className={`live ${on ? "on" : ""}`} role="status">
      {on ? "Live" : on === null ? "" : "Connecting again"}
    </span>
  );
}

/** When something was, told from now and anew every half minute. */
export function When({ at }: { at: string | null }) {
  const now = useNow(30_000);
  if (!at) return null;
  return (
    <time dateTime={at} title={moment(at)}>
      {ago(at, now)}
    </time>
  );
}

export function useNow(every: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}

/** The page's heading: it takes the focus, so that a screen reader says where one has got to. */
export function Heading({ title, children }: { title: string; children?: ReactNode }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · LinkFlow`;
  }, [title]);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  return (
    <header className="heading">
      <h1 tabIndex={-1} ref={heading}>
        {title}
      </h1>
      {children && <div className="actions">{children}</div>}
    </header>
  );
}

interface DialogProps {
  title: string;
  act: string;
  onAct: () => Promise<void>;
  onClose: () => void;
  children: ReactNode;
}

/** A question over the page; Escape leaves it. `onAct` throws where it was refused, and the question stays. */
export function Dialog({ title, act, onAct, onClose, children }: DialogProps) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  const submit = async () => {
    setBusy(true);
    setError(null);
    try {
      await onAct();
    } catch (refused) {
      setError(refused as Error);
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby="dialog-title" onCancel={(event) => (event.preventDefault(), onClose())}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <h2 id="dialog-title">{title}</h2>
        {children}
        {error && <Fault error={error} />}
        <div className="actions">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="primary" disabled={busy}>
            {busy ? "One moment …" : act}
          </button>
        </div>
      </form>
    </dialog>
  );
}

/** A button that does something and shows why it was refused. */
export function Act({ label, work, className }: { label: string; work: () => Promise<unknown>; className?: string }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  return (
    <>
      <button
        type="button"
        className={className}
        disabled={busy}
        onClick={() => {
          setBusy(true);
          setError(null);
          work().then(
            () => setBusy(false),
            (refused: Error) => (setBusy(false), setError(refused)),
          );
        }}
      >
        {label}
      </button>
      {error && (
        <span className="refused" role="alert">
          {error.message}
        </span>
      )}
    </>
  );
}
