/** What the console reads from an access token. The API verifies the token; this decides only what is shown. */
export interface Claims {
  user: string;
  scopes: string[];
}

export function readToken(token: string): Claims {
  try {
    const payload = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(payload), (letter) => letter.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as { sub?: unknown; scope?: unknown };
    return {
      user: typeof claims.sub === 'string' ? claims.sub : '',
      scopes: typeof claims.scope === 'string' ? claims.scope.split(' ').filter(Boolean) : [],
    };
  } catch {
    return { user: '', scopes: [] };
  }
}

export const mayChange = (claims: Claims) => claims.scopes.includes('telecom:admin');
export const mayRead = (claims: Claims) => mayChange(claims) || claims.scopes.includes('telecom:admin.read');
