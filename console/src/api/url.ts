/** Returns the path of a read with its parameters in a fixed order, so that equal reads are equal texts. */
export function pathOf(request: { path: string; id?: string | undefined; query?: unknown }): string {
  const path = request.path.replace('{id}', encodeURIComponent(request.id ?? ''));
  const given = Object.entries((request.query ?? {}) as Record<string, unknown>)
    .filter(([, value]) => value !== undefined && value !== null && value !== '')
    .map(([name, value]): [string, string] => [name, String(value)]);
  return given.length > 0 ? `${path}?${new URLSearchParams(given)}` : path;
}

/** Returns a command that makes the same call. It names the token by a variable, so it can be passed on. */
export function curlOf(url: string, accept: string): string {
  return `curl -H "authorization: Bearer $TOKEN" -H 'accept: ${accept}' '${url.replaceAll("'", '%27')}'`;
}
