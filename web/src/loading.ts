import { useCallback, useEffect, useRef, useState } from "react";

export interface Loaded<T> {
  data: T | null;
  error: Error | null;
  /** Reads again; what is shown stays until the answer is there. */
  reload: () => void;
}

/** Reads something, and again whenever `key` changes; an answer that was overtaken is dropped. */
export function useLoaded<T>(key: string, read: () => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{ key: string; data: T | null; error: Error | null }>({
    key,
    data: null,
    error: null,
  });
  const turn = useRef(0);
  const reader = useRef(read);
  reader.current = read;
  const reload = useCallback(() => {
    const mine = ++turn.current;
    reader.current().then(
      (data) => mine === turn.current && setState({ key, data, error: null }),
      (error: Error) => mine === turn.current && setState((old) => ({ key, data: old.key === key ? old.data : null, error })),
    );
  }, [key]);
  useEffect(() => {
    reload();
    return () => void turn.current++;
  }, [reload]);
  return state.key === key ? { ...state, reload } : { data: null, error: null, reload };
}

/** Does `work` a moment after the last call, and at the latest after `longest` ms. */
export function useSoon(work: () => void, wait = 150, longest = 600): () => void {
  const doing = useRef(work);
  doing.current = work;
  const pending = useRef<{ timer: number; since: number } | null>(null);
  useEffect(() => () => void (pending.current && clearTimeout(pending.current.timer)), []);
  return useCallback(() => {
    const since = pending.current?.since ?? Date.now();
    if (pending.current) clearTimeout(pending.current.timer);
    const left = Math.max(0, Math.min(wait, since + longest - Date.now()));
    pending.current = {
      since,
      timer: window.setTimeout(() => {
        pending.current = null;
        doing.current();
      }, left),
    };
  }, [wait, longest]);
}
