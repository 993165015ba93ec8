// Generates the types and the list of changes from ../docs/openapi.json.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import openapiTS, { astToString } from 'openapi-typescript';

const source = new URL('../../docs/openapi.json', import.meta.url);
const target = new URL('../src/api/generated/', import.meta.url);
const document = JSON.parse(readFileSync(source, 'utf8'));

/** Replaces references, so that a form needs nothing but its own schema. */
function resolved(schema) {
  if (Array.isArray(schema)) return schema.map(resolved);
  if (schema === null || typeof schema !== 'object') return schema;
  const { $ref, ...rest } = schema;
  const named = $ref ? document.components.schemas[$ref.split('/').at(-1)] : {};
  return Object.fromEntries(Object.entries({ ...named, ...rest }).map(([name, value]) => [name, resolved(value)]));
}

const fields = [
  'type',
  'format',
  'description',
  'default',
  'maxLength',
  'minLength',
  'minimum',
  'maximum',
  'enum',
  'oneOf',
  'const',
  'items',
  'anyOf',
];

/** What a form shows of the schema of a field. */
function trimmed(schema) {
  if (Array.isArray(schema)) return schema.map(trimmed);
  if (schema === null || typeof schema !== 'object') return schema;
  return Object.fromEntries(
    fields
      .filter((name) => name in schema)
      .map((name) => [name, name === 'enum' ? schema[name] : trimmed(schema[name])]),
  );
}

function change(method, path, operation) {
  const headers = (operation.parameters ?? []).filter((parameter) => parameter.in === 'header');
  const content = Object.entries(operation.requestBody?.content ?? {})[0];
  const body = content ? resolved(content[1].schema) : { properties: {}, required: [] };
  return {
    method,
    path,
    summary: operation.summary,
    contentType: content?.[0] ?? null,
    ifMatch: headers.some((header) => header.name.toLowerCase() === 'if-match'),
    required: body.required ?? [],
    properties: Object.fromEntries(
      Object.entries(body.properties ?? {}).map(([name, schema]) => [name, trimmed(schema)]),
    ),
  };
}

const changes = {};
for (const [path, methods] of Object.entries(document.paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    if (method !== 'get') changes[operation.operationId] = change(method, path, operation);
  }
}

mkdirSync(target, { recursive: true });
writeFileSync(new URL('schema.d.ts', target), astToString(await openapiTS(source)));
writeFileSync(new URL('changes.json', target), `${JSON.stringify(changes)}\n`);
const names = Object.keys(changes).map((name) => `'${name}'`);
writeFileSync(new URL('changes.d.ts', target), `export type ChangeName = ${names.join(' | ')};\n`);
