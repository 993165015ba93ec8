import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { signIn, type Session } from '../auth/session.ts';
import { BrandMark } from './Shell.tsx';

/** What a reader without a session sees. */
export function Welcome({ session }: { session: Exclude<Session, { state: 'signed-in' }> }) {
  useEffect(() => {
    document.title = 'Telecom console';
  }, []);
  if (session.state === 'starting') {
    return (
      <Panel title="Telecom console" state="starting">
        <p class="muted" role="status">
          Loading…
        </p>
      </Panel>
    );
  }
  if (session.state === 'failed') {
    return (
      <Panel title="Sign-in did not work" state="failed">
        <div class="notice bad" role="alert">
          <p>{session.reason}</p>
        </div>
        <p class="muted">Try again. If this lasts, tell the operator and quote the message above.</p>
        <SignIn />
        <button type="button" onClick={() => window.location.reload()}>
          Reload the console
        </button>
      </Panel>
    );
  }
  return session.state === 'expired' ? (
    <Panel title="Your session has ended" state="expired">
      <p>Your sign-in has expired. Sign in again, and this page with its filters comes back.</p>
      <SignIn />
    </Panel>
  ) : (
    <Panel title="Telecom console" state="signed-out">
      <p>See what is left of your package, where your traffic went and which nodes are online.</p>
      <SignIn />
    </Panel>
  );
}

const SignIn = () => (
  <button type="button" class="primary wide" onClick={() => void signIn()}>
    Sign in
  </button>
);

function Panel({ title, state, children }: { title: string; state: string; children: ComponentChildren }) {
  return (
    <main class="welcome" data-state={state}>
      <section class="card welcome-card" aria-labelledby="welcome-title">
        <BrandMark />
        <h1 id="welcome-title">{title}</h1>
        {children}
      </section>
    </main>
  );
}
