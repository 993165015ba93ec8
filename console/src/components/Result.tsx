import { Copy } from './controls.tsx';
import { words } from '../format/format.ts';

const secrets = new Set(['token', 'secret']);

/** What the API answered to a change. Secrets are shown here and never again. */
export function Result({ data, dryRun = false }: { data: unknown; dryRun?: boolean }) {
  const answer = (data !== null && typeof data === 'object' ? data : {}) as Record<string, unknown>;
  const shown = Object.entries(answer).filter(([name]) => !secrets.has(name));
  const unchanged = answer['changed'] === false;
  return (
    <div class={`notice ${dryRun ? 'info' : 'good'}`} role="status">
      <p class="notice-title">
        {dryRun ? 'Nothing was changed yet' : unchanged ? 'It was so already; nothing changed' : 'Done'}
      </p>
      {[...secrets]
        .filter((name) => name in answer)
        .map((name) => (
          <p key={name} class="secret">
            {typeof answer[name] === 'string' ? (
              <>
                The {name} is shown only once. Keep it now: <code>{answer[name]}</code> <Copy text={answer[name]} />
              </>
            ) : (
              `The ${name} was shown in the first answer and cannot be shown again.`
            )}
          </p>
        ))}
      {shown.length > 0 ? (
        <details open={dryRun}>
          <summary>Answer of the API</summary>
          <dl class="answer">
            {shown.map(([name, value]) => (
              <div key={name}>
                <dt>{words(name)}</dt>
                <dd>
                  {typeof value === 'object' && value !== null ? (
                    <pre class="json">{JSON.stringify(value, null, 2)}</pre>
                  ) : (
                    String(value)
                  )}
                </dd>
              </div>
            ))}
          </dl>
        </details>
      ) : null}
    </div>
  );
}
