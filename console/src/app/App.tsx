import { useEffect, useRef } from 'preact/hooks';
import { forgetAnswers } from '../api/useQuery.ts';
import { mayRead } from '../auth/token.ts';
import { session, type Session } from '../auth/session.ts';
import { ActionHost } from '../components/ActionHost.tsx';
import { ProblemNotice } from '../components/states.tsx';
import { toProblem } from '../api/problem.ts';
import { NotFound } from './NotFound.tsx';
import { Shell } from './Shell.tsx';
import { Welcome } from './Welcome.tsx';
import { navigate, useLocation } from './router.ts';
import { find } from './routes.ts';
import { useStore } from './store.ts';

export function App() {
  const now = useStore(session);
  useEffect(() => {
    if (now.state === 'signed-out') forgetAnswers();
  }, [now.state]);
  return now.state === 'signed-in' ? <SignedIn session={now} /> : <Welcome session={now} />;
}

function SignedIn({ session: { claims } }: { session: Extract<Session, { state: 'signed-in' }> }) {
  const { path } = useLocation();
  const found = find(path);
  const admin = mayRead(claims);
  const first = useRef(true);

  useEffect(() => {
    // An administrator who opens the console without a page wants the fleet.
    if (admin && window.location.hash === '') navigate('/overview');
  }, []);
  useEffect(() => {
    // A screen reader continues at the new page, not at the link that led to it.
    if (!first.current) document.getElementById('page-title')?.focus({ preventScroll: true });
    if (!first.current) window.scrollTo(0, 0);
    first.current = false;
  }, [path]);

  const Page = found?.route.page;
  return (
    <Shell claims={claims} path={path}>
      {!Page || !found ? (
        <NotFound />
      ) : found.route.admin && !admin ? (
        <ProblemNotice
          problem={{ ...toProblem(403, { title: 'This page is for administrators', code: 'scope_missing' }) }}
        />
      ) : (
        <Page key={path} parameters={found.parameters} />
      )}
      {admin ? <ActionHost /> : null}
    </Shell>
  );
}
