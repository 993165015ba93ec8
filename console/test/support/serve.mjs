// Serves the built console as the deployed function does, with the same content security policy, beside an issuer and
// an API: the one at CONSOLE_API, or made-up answers.
import { createServer, request as httpRequest } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { faultOf } from './documented.mjs';
import { answer } from './fixtures.mjs';
import { createIssuer } from './issuer.mjs';

const PREFIX = '/prefix';
const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

export const policy = (issuer) =>
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
  `connect-src 'self' ${issuer}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'`;

/** Starts the server. `dist` is the folder of the built console. */
export async function serve({ port = 0, api = process.env.CONSOLE_API, dist, scope = 'openid', tokens } = {}) {
  const folder = dist ?? fileURLToPath(new URL('../../dist/', import.meta.url));
  let origin = '';
  const issuer = createIssuer({ origin: () => origin, tokens });
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, origin);
    try {
      if (url.pathname.startsWith('/issuer/')) return await issuer(request, response, url);
      if (url.pathname === `${PREFIX}/console/config.json`) {
        return send(
          response,
          200,
          'application/json',
          JSON.stringify({ issuer: `${origin}/issuer`, client_id: 'console', scope, api: null }),
          { 'cache-control': 'no-cache' },
        );
      }
      if (url.pathname.startsWith(`${PREFIX}/console/`))
        return await file(response, folder, url.pathname.slice(`${PREFIX}/console/`.length), `${origin}/issuer`);
      if (url.pathname.startsWith(`${PREFIX}/v1/`))
        return api ? proxy(request, response, api) : await made(request, response, url);
      return send(response, 404, 'text/plain', 'not found');
    } catch (error) {
      return send(response, 500, 'text/plain', String(error));
    }
  });
  await new Promise((ready) => server.listen(port, '127.0.0.1', ready));
  origin = `http://127.0.0.1:${server.address().port}`;
  return { url: `${origin}${PREFIX}/console/`, close: () => new Promise((done) => server.close(done)) };
}

function send(response, status, type, body, headers = {}) {
  response.writeHead(status, { 'content-type': type, ...headers });
  response.end(body);
}

async function file(response, folder, path, issuer) {
  const name = path === '' ? 'index.html' : path;
  if (name.includes('..')) return send(response, 404, 'text/plain', 'not found');
  const body = await readFile(folder + name).catch(() => null);
  if (!body) return send(response, 404, 'text/plain', 'not found');
  return send(response, 200, types[extname(name)] ?? 'application/octet-stream', body, {
    'content-security-policy': policy(issuer),
    'x-content-type-options': 'nosniff',
    'cache-control': name.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
  });
}

function proxy(request, response, api) {
  const target = new URL(api.replace(/\/$/, '') + request.url.slice(PREFIX.length));
  const forwarded = httpRequest(
    target,
    { method: request.method, headers: { ...request.headers, host: target.host } },
    (answered) => {
      response.writeHead(answered.statusCode, answered.headers);
      answered.pipe(response);
    },
  );
  forwarded.on('error', (error) => send(response, 502, 'text/plain', String(error)));
  request.pipe(forwarded);
}

async function made(request, response, url) {
  if (!request.headers.authorization?.startsWith('Bearer ')) {
    const problem = {
      type: 'about:blank',
      title: 'Unauthorized',
      status: 401,
      code: 'token_missing',
      detail: 'Bearer token is missing.',
    };
    return send(response, 401, 'application/problem+json', JSON.stringify(problem));
  }
  const fault = faultOf(request.method, url);
  if (fault) {
    const problem = { type: 'about:blank', title: 'Bad Request', status: 400, code: 'invalid_parameter', ...fault };
    return send(response, 400, 'application/problem+json', JSON.stringify(problem));
  }
  let body = '';
  for await (const part of request) body += part;
  const {
    status = 200,
    json,
    csv,
  } = answer(request.method, url.pathname.slice(PREFIX.length), url.searchParams, body ? JSON.parse(body) : undefined);
  if (request.headers.accept === 'text/csv' && csv) return send(response, 200, 'text/csv', csv);
  const text = JSON.stringify(json);
  const etag = `"${text.length}-${hash(text)}"`;
  if (request.headers['if-none-match'] === etag) return send(response, 304, 'application/json', '', { etag });
  return send(response, status, status < 400 ? 'application/json' : 'application/problem+json', text, {
    etag,
    'cache-control': 'private, no-cache',
  });
}

function hash(text) {
  let value = 0;
  for (const letter of text) value = (Math.imul(value, 31) + letter.codePointAt(0)) | 0;
  return value >>> 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await serve({
    port: Number(process.env.PORT ?? 8787),
    tokens: { user: process.env.CONSOLE_USER_TOKEN, admin: process.env.CONSOLE_ADMIN_TOKEN },
  });
  console.log(`The console is at ${url}`);
}
