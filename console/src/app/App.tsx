import { useEffect } from 'preact/hooks';
import { forgetAnswers } from '../api/useQuery.ts';
import { mayRead } from '../auth/token.ts';
import { session, type Session } from '../auth/session.ts';
import { ActionHost } from '../components/ActionHost.tsx';
import { NoAccess, NotFound } from './NotFound.tsx';
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

  useEffect(() => {
    // An administrator who opens the console without a page wants the fleet.
    if (admin && window.location.hash === '') navigate('/overview');
  }, []);
  const Page = found?.route.page;
  return (
    <Shell claims={claims} path={path}>
      {!Page || !found ? (
        <NotFound />
      ) : found.route.admin && !admin ? (
        <NoAccess />
      ) : (
        <Page key={path} parameters={found.parameters} />
      )}
      <ActionHost />
    </Shell>
  );
}
