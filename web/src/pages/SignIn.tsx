import { type FormEvent, type RefObject, useEffect, useRef, useState } from "react";
import { Problem, content, open } from "../api/client";
import { type Back, exchange, leave, possible } from "../api/provider";
import { type Answer, signedIn } from "../api/session";
import icon from "../icon.svg";
import { Fault, Waiting } from "../parts/Basics";

/** Signing in, by a password or a provider, with a code where there is a second factor; and making an account. */
export function SignIn({ back }: { back: Back | null }) {
  const [came, setCame] = useState(back);
  const [registers, setRegisters] = useState(false);
  const [sent, setSent] = useState("");
  useEffect(() => {
    document.title = `${registers ? "Make an account" : "Sign in"} · LinkFlow`;
  }, [registers]);
  return (
    <main className="door">
      <p className="brand">
        <img src={icon} alt="" width="36" height="36" /> LinkFlow
      </p>
      {sent ? (
        <p role="status">{sent}</p>
      ) : came?.code ? (
        <ComingBack back={came} />
      ) : registers ? (
        <Registering onSent={setSent} />
      ) : (
        <SigningIn said={came?.error ?? ""} />
      )}
      <button
        type="button"
        className="link"
        onClick={() => {
          setSent("");
          setCame(null);
          setRegisters(!registers && !sent && !came?.code);
        }}
      >
        {registers || sent || came?.code ? "Sign in with an account" : "Make an account"}
      </button>
    </main>
  );
}

function useForm(work: (form: Record<string, string>) => Promise<void>) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = Object.fromEntries([...new FormData(event.currentTarget)].map(([name, value]) => [name, String(value)]));
    setBusy(true);
    setError(null);
    work(form).then(
      () => setBusy(false),
      (refused: Error) => (setBusy(false), setError(refused)),
    );
  };
  return { busy, error, submit };
}

function SigningIn({ said }: { said: string }) {
  const [asked, setAsked] = useState(false);
  const code = useRef<HTMLInputElement>(null);
  const { busy, error, submit } = useForm(async (form) => {
    try {
      const body = { email: form["email"] ?? "", password: form["password"] ?? "", code: form["code"] ?? "" };
      signedIn((await content(open.POST("/api/v1/auth/login", { body }))) as Answer);
    } catch (refused) {
      if (!(refused instanceof Problem) || refused.code !== "second_factor_required") throw refused;
      setAsked(true);
    }
  });
  useEffect(() => {
    if (asked) code.current?.focus();
  }, [asked]);
  return (
    <form onSubmit={submit} aria-labelledby="door-title">
      <h1 id="door-title">Sign in</h1>
      <label>
        E-mail
        <input name="email" type="email" autoComplete="username" required autoFocus />
      </label>
      <label>
        Password
        <input name="password" type="password" autoComplete="current-password" required />
      </label>
      {asked && (
        <Code field={code} />
      )}
      {(error || said) && <Fault error={error ?? new Error(said)} />}
      <button type="submit" className="primary" disabled={busy}>
        {busy ? "One moment …" : "Sign in"}
      </button>
      <Providers />
    </form>
  );
}

function Code({ field }: { field: RefObject<HTMLInputElement | null> }) {
  return (
    <label>
      Code of the second factor
      <input name="code" ref={field} inputMode="numeric" autoComplete="one-time-code" required maxLength={40} />
      <small>From your authenticator, or one of your recovery codes.</small>
    </label>
  );
}

interface Provider {
  name: string;
  label: string;
  url: string;
}

function Providers() {
  const [found, setFound] = useState<Provider[]>([]);
  useEffect(() => {
    if (!possible) return;
    content(open.GET("/api/v1/auth/providers")).then(
      (told) => setFound(told.data as Provider[]),
      () => undefined, // a password does as well
    );
  }, []);
  return found.map((one) => (
    <button key={one.name} type="button" onClick={() => void leave(one.url)}>
      Sign in by {one.label || one.name}
    </button>
  ));
}

/** From a provider: signed in at once, or asked for a code. */
function ComingBack({ back }: { back: Back }) {
  const [asked, setAsked] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const begun = useRef(false);
  const code = useRef<HTMLInputElement>(null);
  const trade = async (otp: string) => {
    try {
      await exchange(back, otp);
    } catch (refused) {
      if (refused instanceof Problem && refused.code === "second_factor_required") setAsked(true);
      else setError(refused as Error);
    }
  };
  useEffect(() => {
    if (begun.current) return;
    begun.current = true; // a code is good for one use
    void trade("");
  });
  useEffect(() => code.current?.focus(), [asked]);
  return (
    <form
      aria-labelledby="door-title"
      onSubmit={(event) => {
        event.preventDefault();
        setError(null);
        void trade(code.current?.value ?? "");
      }}
    >
      <h1 id="door-title">Sign in</h1>
      {asked && <Code field={code} />}
      {error && <Fault error={error} />}
      {asked ? (
        <button type="submit" className="primary">
          Sign in
        </button>
      ) : (
        !error && <Waiting what="Signing in" />
      )}
    </form>
  );
}

function Registering({ onSent }: { onSent: (said: string) => void }) {
  const { busy, error, submit } = useForm(async (form) => {
    const body = {
      first_name: form["first_name"] ?? "",
      last_name: form["last_name"] ?? "",
      email: form["email"] ?? "",
      password: form["password"] ?? "",
      password_confirmation: form["password_confirmation"] ?? "",
    };
    const made = (await content(open.POST("/api/v1/auth/register", { body }))) as Partial<Answer> & { message: string };
    if (made.access_token) signedIn(made as Answer);
    else onSent(made.message);
  });
  return (
    <form onSubmit={submit} aria-labelledby="door-title">
      <h1 id="door-title">Make an account</h1>
      <div className="pair">
        <label>
          First name
          <input name="first_name" autoComplete="given-name" required maxLength={255} autoFocus />
        </label>
        <label>
          Last name
          <input name="last_name" autoComplete="family-name" required maxLength={255} />
        </label>
      </div>
      <label>
        E-mail
        <input name="email" type="email" autoComplete="username" required />
      </label>
      <label>
        Password
        <input name="password" type="password" autoComplete="new-password" required />
      </label>
      <label>
        Password once more
        <input name="password_confirmation" type="password" autoComplete="new-password" required />
      </label>
      {error && <Fault error={error} />}
      <button type="submit" className="primary" disabled={busy}>
        {busy ? "One moment …" : "Make an account"}
      </button>
    </form>
  );
}
