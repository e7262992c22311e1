import { useState } from "react";
import { linked } from "../api/client";

const LONGEST = 60_000;
/** Items, members or characters that one answer of the API may have. */
const MOST = 100_000;

interface Elsewhere {
  href: string;
  size: number;
  head?: unknown;
}

/** A value as text. Large ones are fetched when somebody asks for them. */
export function Json({ value, label }: { value: unknown; label: string }) {
  const [full, setFull] = useState<{ of: unknown; value: unknown } | null>(null);
  const [error, setError] = useState("");
  const [copied, setCopied] = useState(false);
  const away = elsewhere(value);
  const loaded = full && full.of === value;
  const shown = loaded ? full.value : away ? (away.head ?? null) : value;
  const text = typeof shown === "string" ? shown : (JSON.stringify(shown, null, 2) ?? "");
  const fetchIt = async () => {
    try {
      setFull({ of: value, value: unwrapped(await linked(away!.href)) });
    } catch (refused) {
      setError((refused as Error).message);
    }
  };
  const copy = () => {
    void navigator.clipboard?.writeText(text).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), 1500);
    });
  };
  return (
    <div className="json">
      <div className="tools">
        {away && !loaded && (
          <button type="button" onClick={() => void fetchIt()}>
            Load {Math.ceil(away.size / 1024)} KB
          </button>
        )}
        {navigator.clipboard && (
          <button type="button" onClick={copy} aria-label={`Copy ${label}`}>
            {copied ? "Copied" : "Copy"}
          </button>
        )}
      </div>
      <pre tabIndex={0} role="region" aria-label={label}>
        {text.length > LONGEST ? `${text.slice(0, LONGEST)}\n…` : text}
        {away && !loaded && "\n…"}
      </pre>
      {error && <p className="refused">{error}</p>}
    </div>
  );
}

function elsewhere(value: unknown): Elsewhere | null {
  if (typeof value !== "object" || value === null) return null;
  const { $preview: part, $blob: whole } = value as { $preview?: Elsewhere; $blob?: Elsewhere };
  if (part?.href) return { ...part, href: `${part.href}?limit=${MOST}` };
  return whole?.href ? whole : null;
}

/** A page of a payload is `{data, meta}`; what is behind a link to a blob is the value itself. */
function unwrapped(found: unknown): unknown {
  const page = found as { data?: unknown; meta?: { next_offset?: unknown; offset?: unknown } } | null;
  return page && typeof page === "object" && page.meta && "offset" in page.meta ? page.data : found;
}

/** Text that has to be JSON; throws with where it is not. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new Error(`This is not JSON: ${(error as Error).message}`);
  }
}

export function JsonField({ label, value, onChange }: { label: string; value: string; onChange: (text: string) => void }) {
  return (
    <label>
      {label}
      <textarea className="code" value={value} spellCheck={false} rows={10} onChange={(event) => onChange(event.target.value)} />
    </label>
  );
}
