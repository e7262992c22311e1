import { useState } from "react";
import type { Event } from "../api/types";
import { clock, spelled } from "../words";
import { said } from "./NodePanel";

const MOST = 500;

/** What happened, event by event, with the times of the server (UTC). */
export function Timeline({ events, picked, onPick }: { events: Event[]; picked: string; onPick: (node: string) => void }) {
  const [all, setAll] = useState(false);
  const node = (event: Event) => String(event.attributes["node"] ?? "");
  const mine = picked && !all ? events.filter((event) => node(event).split("[", 1)[0] === picked) : events;
  const shown = mine.slice(-MOST);
  return (
    <section className="card events" aria-label="Events">
      <div className="actions">
        <h2>Events</h2>
        <small>
          {shown.length < events.length ? `${shown.length} of ${events.length}` : events.length}, times in UTC
        </small>
        {picked && (
          <label className="inline">
            <input type="checkbox" checked={all} onChange={(event) => setAll(event.target.checked)} />
            of all nodes
          </label>
        )}
      </div>
      <ol>
        {shown.map((event) => (
          <li key={event.event_id}>
            <span className="id">{event.event_id}</span>
            <time dateTime={event.at}>{clock(event.at)}</time>
            <span>{spelled(event.type)}</span>
            <span>
              {node(event) && (
                <button type="button" className="link" onClick={() => onPick(node(event).split("[", 1)[0]!)}>
                  {node(event)}
                </button>
              )}
            </span>
            {said(event) && <span className="said">{said(event)}</span>}
          </li>
        ))}
      </ol>
    </section>
  );
}
