// What ../docs/openapi.json says of a request. The made-up answers accept any parameters, and the API does not.
import { readFileSync } from 'node:fs';

const document = JSON.parse(readFileSync(new URL('../../../docs/openapi.json', import.meta.url), 'utf8'));

const paths = Object.keys(document.paths)
  .map((path) => ({ path, pattern: new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`) }))
  // `/package-queue/counts` comes before `/package-queue/{id}`.
  .sort((a, b) => Number(a.path.includes('{')) - Number(b.path.includes('{')));

/** What the schema of a parameter says against a text. */
function faultOfValue({ type, enum: words, minimum, maximum }, text) {
  if (words && !words.includes(text)) return `must be one of: ${words.join(', ')}`;
  if (type === 'boolean' && !['true', 'false'].includes(text)) return 'must be true or false';
  if (type !== 'integer') return null;
  if (!/^-?\d+$/.test(text)) return 'must be a whole number';
  if (minimum !== undefined && Number(text) < minimum) return `must be at least ${minimum}`;
  if (maximum !== undefined && Number(text) > maximum) return `must be at most ${maximum}`;
  return null;
}

/**
 * Returns the parameter of a request that the document does not accept, and why: its name, a word, or a number. Returns
 * null if there is none. `url` is that of the request, with any prefix before `/v1/`.
 */
export function faultOf(method, url) {
  const path = url.pathname.slice(url.pathname.indexOf('/v1/'));
  const known = paths.find(({ pattern }) => pattern.test(path));
  const operation = document.paths[known?.path]?.[method.toLowerCase()];
  if (!operation) return { field: 'path', detail: `${method} ${path} is not an operation` };
  const parameters = (operation.parameters ?? []).filter((parameter) => parameter.in === 'query');
  for (const [name, text] of url.searchParams) {
    const schema = parameters.find((parameter) => parameter.name === name)?.schema;
    const why = schema ? faultOfValue(schema, text) : 'is not a parameter';
    if (why) return { field: name, detail: `${method} ${path}: ${name}=${text} ${why}` };
  }
  return null;
}
