import type { components, paths } from './generated/schema.d.ts';

export type Schema<Name extends keyof components['schemas']> = components['schemas'][Name];

type Get<Path extends keyof paths> = paths[Path] extends { get: infer Operation } ? Operation : never;
/** Paths that can be read. */
export type ReadPath = { [Path in keyof paths]: Get<Path> extends { responses: unknown } ? Path : never }[keyof paths];
export type Parameters<Path extends ReadPath> = Get<Path> extends { parameters: infer Given } ? Given : never;
export type Query<Path extends ReadPath> = Parameters<Path> extends { query?: infer Given } ? Given : never;
/** The JSON of a successful response. */
export type Answer<Path extends ReadPath> =
  Get<Path> extends {
    responses: { 200: { content: { 'application/json': infer Body } } };
  }
    ? Body
    : never;

/** A read of the API, from which the page, the CSV file and the command are made. */
export interface Read<Path extends ReadPath = ReadPath> {
  path: Path;
  id?: string | undefined;
  query?: Query<Path> | undefined;
}

export function read<Path extends ReadPath>(path: Path, query?: Query<Path>, id?: string): Read<Path> {
  return { path, query, id };
}
