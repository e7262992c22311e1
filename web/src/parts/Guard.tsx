import { Component, type ReactNode } from "react";

const RELOADED = "linkflow.reloaded";
const OFTEN = 20_000;

/** A part of the page that is not there any more: after an upgrade the page itself is another one. Loads it, but not
 * again and again. */
export function reloadAfterUpgrades(): void {
  addEventListener("vite:preloadError", (event) => {
    if (Date.now() - Number(sessionStorage.getItem(RELOADED) ?? 0) < OFTEN) return;
    event.preventDefault();
    sessionStorage.setItem(RELOADED, String(Date.now()));
    location.reload();
  });
}

/** Whatever goes wrong while something is drawn is said, instead of an empty page. `place`: at another one all is tried anew. */
export class Guard extends Component<{ place: string; children: ReactNode }, { error: Error | null; at: string }> {
  override state = { error: null as Error | null, at: this.props.place };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  static getDerivedStateFromProps(props: { place: string }, state: { at: string }) {
    return props.place === state.at ? null : { error: null, at: props.place };
  }

  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <div className="empty" role="alert">
        <h2>This page cannot be shown</h2>
        <p>{this.state.error.message}</p>
        <button type="button" className="primary" onClick={() => location.reload()}>
          Load it again
        </button>
      </div>
    );
  }
}
