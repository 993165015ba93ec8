// A small OpenID provider for tests. It signs nothing: its tokens are those that it was given, or made up.
import { createHash, randomUUID } from 'node:crypto';

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

export const DEMO_USER = 'de300000-0000-4000-8000-000000000001';
export const ADMIN = 'ad310000-0000-4000-8000-000000000001';

/** A token without a valid signature. */
export function madeToken(claims) {
  const now = Math.floor(Date.now() / 1000);
  return `${part({ alg: 'none', typ: 'JWT' })}.${part({ iat: now, exp: now + 3600, ...claims })}.none`;
}

const made = {
  user: () => madeToken({ sub: DEMO_USER }),
  admin: () => madeToken({ sub: ADMIN, scope: 'telecom:admin' }),
  reader: () => madeToken({ sub: ADMIN, scope: 'telecom:admin.read' }),
};

export function createIssuer({ origin, tokens = {} }) {
  const codes = new Map();
  const issuer = () => `${origin()}/issuer`;

  const answers = {
    '/issuer/.well-known/openid-configuration': () => ({
      issuer: issuer(),
      authorization_endpoint: `${issuer()}/authorize`,
      token_endpoint: `${issuer()}/token`,
      jwks_uri: `${issuer()}/jwks`,
      response_types_supported: ['code'],
      code_challenge_methods_supported: ['S256'],
    }),
    '/issuer/jwks': () => ({ keys: [] }),
  };

  return async (request, response, url) => {
    const cors = { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*' };
    const json = (status, value) => {
      response.writeHead(status, { 'content-type': 'application/json', ...cors });
      response.end(JSON.stringify(value));
    };
    if (request.method === 'OPTIONS') return json(200, {});
    if (answers[url.pathname]) return json(200, answers[url.pathname]());
    if (url.pathname === '/issuer/authorize') return authorize(response, url);
    if (url.pathname === '/issuer/token') return token(request, json);
    return json(404, {});
  };

  function authorize(response, url) {
    const as = url.searchParams.get('as');
    if (!as) {
      const links = Object.keys(made).map((name) => {
        const next = new URL(url);
        next.searchParams.set('as', name);
        return `<p><a id="${name}" href="${next.href.replaceAll('&', '&amp;')}">Sign in as ${name}</a></p>`;
      });
      response.writeHead(200, { 'content-type': 'text/html' });
      return response.end(`<!doctype html><title>Test issuer</title>${links.join('')}`);
    }
    const code = randomUUID();
    codes.set(code, {
      as,
      challenge: url.searchParams.get('code_challenge'),
      scope: url.searchParams.get('scope'),
    });
    const back = new URL(url.searchParams.get('redirect_uri'));
    back.searchParams.set('code', code);
    back.searchParams.set('state', url.searchParams.get('state'));
    response.writeHead(302, { location: back.href });
    return response.end();
  }

  async function token(request, json) {
    let body = '';
    for await (const piece of request) body += piece;
    const form = new URLSearchParams(body);
    const refresh = form.get('grant_type') === 'refresh_token';
    const known = refresh ? codes.get(form.get('refresh_token')) : codes.get(form.get('code'));
    if (!known) return json(400, { error: 'invalid_grant' });
    if (!refresh) {
      codes.delete(form.get('code'));
      const verified = createHash('sha256')
        .update(form.get('code_verifier') ?? '')
        .digest('base64url');
      if (verified !== known.challenge) return json(400, { error: 'invalid_grant', error_description: 'PKCE' });
    }
    const access = tokens?.[known.as] ?? made[known.as]();
    const { sub } = JSON.parse(Buffer.from(access.split('.')[1], 'base64url').toString());
    const answer = {
      access_token: access,
      token_type: 'Bearer',
      expires_in: 3600,
      id_token: madeToken({ iss: issuer(), aud: form.get('client_id') ?? 'console', sub }),
    };
    if (known.scope.includes('offline_access')) {
      const next = randomUUID();
      codes.set(next, known);
      answer.refresh_token = next;
    }
    return json(200, answer);
  }
}
