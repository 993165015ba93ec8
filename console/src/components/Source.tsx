// Where the numbers of a card come from: the call of the API, as a link, a command and a CSV file.
import { useState } from 'preact/hooks';
import { docsUrl, fetchCsv, urlOf } from '../api/client.ts';
import type { Problem } from '../api/problem.ts';
import type { Read, ReadPath } from '../api/types.ts';
import { curlOf } from '../api/url.ts';
import { Copy } from './controls.tsx';
import { ProblemNotice } from './states.tsx';

interface Props<Path extends ReadPath> {
  request: Read<Path> | null;
  /** Most operations that return one object have no CSV form. */
  csv?: boolean;
}

export function Source<Path extends ReadPath>({ request, csv = true }: Props<Path>) {
  const [problem, setProblem] = useState<Problem>();
  if (!request) return null;
  const read = request as unknown as Read;
  const url = urlOf(read);
  const download = async () => {
    const outcome = await fetchCsv(read);
    setProblem(outcome.kind === 'problem' ? outcome.problem : undefined);
    if (outcome.kind === 'data') save(outcome.data, fileName(read.path));
  };
  return (
    <div class="source">
      {csv ? (
        <button type="button" class="quiet" onClick={() => void download()}>
          CSV
        </button>
      ) : null}
      <details class="api">
        <summary>API call</summary>
        <div class="api-body">
          <p>
            <code>GET {url.replace(/^.*(?=\/v1\/)/, '')}</code>
          </p>
          <p class="muted">
            The command reads your access token from the variable TOKEN. The{' '}
            <a href={docsUrl()} target="_blank" rel="noreferrer">
              documentation of the API
            </a>{' '}
            describes the response.
          </p>
          <pre tabIndex={0}>{curlOf(url, 'application/json')}</pre>
          <Copy text={curlOf(url, 'application/json')}>Copy command</Copy>
        </div>
      </details>
      {problem ? <ProblemNotice problem={problem} /> : null}
    </div>
  );
}

const fileName = (path: string) =>
  `${path
    .replace(/^\/v1\//, '')
    .replaceAll(/[{}]/g, '')
    .replaceAll('/', '-')}.csv`;

function save(text: string, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
