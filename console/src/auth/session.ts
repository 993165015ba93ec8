// Sign-in by OIDC: authorization code with PKCE. Tokens stay in session storage.
import { UserManager, WebStorageStateStore, type User } from 'oidc-client-ts';
import { createStore } from '../app/store.ts';
import { pageUrl, type Config } from '../app/config.ts';
import { readToken, type Claims } from './token.ts';

export type Session =
  | { state: 'starting' }
  | { state: 'signed-out' }
  | { state: 'expired' }
  | { state: 'failed'; reason: string }
  | { state: 'signed-in'; token: string; claims: Claims };

export const session = createStore<Session>({ state: 'starting' });
let manager: UserManager | undefined;

function signedIn(user: User): void {
  session.set({ state: 'signed-in', token: user.access_token, claims: readToken(user.access_token) });
}

export function currentToken(): string | undefined {
  const now = session.get();
  return now.state === 'signed-in' ? now.token : undefined;
}

/** Restores the session of this tab, or ends the sign-in that the issuer has sent back. */
export async function startSession(config: Config): Promise<void> {
  const store = new WebStorageStateStore({ prefix: 'telecom.', store: window.sessionStorage });
  manager = new UserManager({
    authority: config.issuer,
    client_id: config.client_id,
    scope: config.scope,
    redirect_uri: pageUrl(),
    response_type: 'code',
    response_mode: 'query',
    userStore: store,
    stateStore: store,
    // Without a refresh token, a renewal would need a frame, which the content security policy forbids.
    automaticSilentRenew: false,
    monitorSession: false,
  });
  manager.events.addAccessTokenExpiring(() => void renew());
  manager.events.addAccessTokenExpired(() => void expire());
  const parameters = new URLSearchParams(window.location.search);
  if (parameters.has('state') && (parameters.has('code') || parameters.has('error'))) {
    await finishSignIn(manager);
    return;
  }
  const user = await manager.getUser();
  if (user && !user.expired) signedIn(user);
  else if (user?.refresh_token && (await renew())) return;
  else session.set({ state: user ? 'expired' : 'signed-out' });
}

async function finishSignIn(from: UserManager): Promise<void> {
  const back = (page: string) => window.history.replaceState(null, '', `${pageUrl()}${page}`);
  try {
    const user = await from.signinRedirectCallback();
    back(typeof user.state === 'string' ? user.state : '');
    window.dispatchEvent(new HashChangeEvent('hashchange'));
    signedIn(user);
  } catch (error) {
    back('');
    session.set({ state: 'failed', reason: error instanceof Error ? error.message : String(error) });
  }
}

/** Leaves for the issuer's page. The present page and its filters are restored afterwards. */
export async function signIn(): Promise<void> {
  try {
    await manager?.signinRedirect({ state: window.location.hash });
  } catch (error) {
    session.set({ state: 'failed', reason: error instanceof Error ? error.message : String(error) });
  }
}

export async function signOut(): Promise<void> {
  // Not every issuer revokes tokens, and a failure must not keep the tokens here.
  await manager?.revokeTokens(['refresh_token']).catch(() => undefined);
  await manager?.removeUser();
  session.set({ state: 'signed-out' });
}

let renewal: Promise<boolean> | undefined;

/** Exchanges the refresh token, if there is one. Returns whether there is a new access token. */
export function renew(): Promise<boolean> {
  renewal ??= renewed().finally(() => (renewal = undefined));
  return renewal;
}

async function renewed(): Promise<boolean> {
  try {
    const old = await manager?.getUser();
    const user = old?.refresh_token ? await manager?.signinSilent() : null;
    if (user) signedIn(user);
    return Boolean(user);
  } catch {
    return false;
  }
}

/** Ends a session whose token the API no longer accepts. */
export async function expire(): Promise<void> {
  if (session.get().state !== 'signed-in') return;
  if (await renew()) return;
  session.set({ state: 'expired' });
}
