import createClient, { type Client } from 'openapi-fetch';
import { apiBase, type Config } from '../app/config.ts';
import { currentToken, expire, renew } from '../auth/session.ts';
import type { paths } from './generated/schema.d.ts';
import { toProblem, unreachable, type Problem } from './problem.ts';
import type { Answer, Read, ReadPath } from './types.ts';
import { pathOf } from './url.ts';

let client: Client<paths>;
let base = '';

export function startClient(config: Config): void {
  base = apiBase(config);
  client = createClient<paths>({ baseUrl: base, fetch: authorized });
}

/** Address of the page that describes the API. */
export const docsUrl = () => `${base}/docs`;
export const urlOf = (request: Read) => `${base}${pathOf(request)}`;

/** Sends a request with the token. A token that has run out is renewed once, if the issuer gave a refresh token. */
async function authorized(request: Request): Promise<Response> {
  const repeat = request.clone();
  const response = await fetch(withToken(request));
  if (response.status !== 401) return response;
  if (await renew()) return fetch(withToken(repeat));
  await expire();
  return response;
}

function withToken(request: Request): Request {
  request.headers.set('authorization', `Bearer ${currentToken() ?? ''}`);
  return request;
}

export type Outcome<T> =
  { kind: 'data'; data: T; etag: string | null } | { kind: 'unchanged' } | { kind: 'problem'; problem: Problem };

const problemOf = (response: Response, error: unknown): Outcome<never> => ({
  kind: 'problem',
  problem: toProblem(response.status, error, response.headers.get('retry-after')),
});

// The paths are known by their types in `Read`; `request` cannot follow them through a type parameter.
type Untyped = (
  method: string,
  path: string,
  init: object,
) => Promise<{ data?: unknown; error?: unknown; response: Response }>;

async function send(method: string, path: string, init: object): ReturnType<Untyped> {
  return (client.request as unknown as Untyped)(method, path, init);
}

export async function fetchRead<Path extends ReadPath>(
  request: Read<Path>,
  etag: string | null,
  signal: AbortSignal,
): Promise<Outcome<Answer<Path>>> {
  try {
    const { data, error, response } = await send('get', request.path, {
      params: { path: { id: request.id }, query: request.query },
      headers: etag ? { 'if-none-match': etag } : {},
      // The console keeps what it has read, and sees for itself that nothing has changed.
      cache: 'no-store',
      signal,
    });
    if (response.status === 304) return { kind: 'unchanged' };
    if (!response.ok) return problemOf(response, error);
    return { kind: 'data', data: data as Answer<Path>, etag: response.headers.get('etag') };
  } catch (error) {
    if (signal.aborted) throw error;
    return { kind: 'problem', problem: unreachable(navigator.onLine) };
  }
}

export async function fetchCsv(request: Read): Promise<Outcome<string>> {
  try {
    const { data, error, response } = await send('get', request.path, {
      params: { path: { id: request.id }, query: request.query },
      headers: { accept: 'text/csv' },
      parseAs: 'text',
    });
    return response.ok ? { kind: 'data', data: String(data), etag: null } : problemOf(response, error);
  } catch {
    return { kind: 'problem', problem: unreachable(navigator.onLine) };
  }
}

export interface Write {
  method: string;
  path: string;
  id?: string | undefined;
  contentType: string | null;
  body: Record<string, unknown>;
  idempotencyKey: string;
  ifMatch?: string | undefined;
}

export async function sendWrite(write: Write): Promise<Outcome<unknown>> {
  try {
    const { data, error, response } = await send(write.method, write.path, {
      params: { path: { id: write.id } },
      headers: {
        'idempotency-key': write.idempotencyKey,
        ...(write.ifMatch ? { 'if-match': write.ifMatch } : {}),
        ...(write.contentType ? { 'content-type': write.contentType } : {}),
      },
      ...(write.contentType ? { body: write.body } : {}),
      bodySerializer: JSON.stringify,
    });
    return response.ok ? { kind: 'data', data, etag: null } : problemOf(response, error);
  } catch {
    return { kind: 'problem', problem: unreachable(navigator.onLine) };
  }
}
