/** Settings of the deployment, which the server gives as `config.json` beside the page. */
export interface Config {
  issuer: string;
  client_id: string;
  scope: string;
  /** Address of the API, or `null` if the console is served from it. */
  api: string | null;
}

/** Address of the page without filters, fragment and the parameters of a sign-in. */
export const pageUrl = () => new URL('.', window.location.href).href;

export async function loadConfig(): Promise<Config> {
  // The page has begun to load it, see index.html.
  const response = await fetch('config.json');
  if (!response.ok) throw new Error(`config.json: ${response.status}`);
  const config = (await response.json()) as Partial<Config>;
  if (!config.issuer || !config.client_id) throw new Error('config.json: issuer or client_id is missing');
  return {
    issuer: config.issuer,
    client_id: config.client_id,
    scope: config.scope ?? 'openid',
    api: config.api ?? null,
  };
}

/** Address to which the paths of the API (`/v1/…`) are added. */
export function apiBase(config: Config): string {
  return (config.api ?? new URL('../', window.location.href).href).replace(/[/?#]+$/, '');
}
