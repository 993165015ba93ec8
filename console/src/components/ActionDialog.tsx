// One dialog for all changes. The form comes from the schema of the operation, so no change is described twice.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { sendWrite, type Outcome } from '../api/client.ts';
import { controlOf, inOrder, patchOf, type ChangeSchema } from '../api/form.ts';
import changes from '../api/generated/changes.json';
import { reloadAll } from '../api/useQuery.ts';
import * as format from '../format/format.ts';
import { closeAction, type Action } from './ActionHost.tsx';
import { Field } from './Field.tsx';
import { Result } from './Result.tsx';
import { ProblemNotice } from './states.tsx';

type Body = Record<string, unknown>;

export function ActionDialog({ action }: { action: Action }) {
  const schema = (changes as unknown as Record<string, ChangeSchema>)[action.change] as ChangeSchema;
  const dialog = useRef<HTMLDialogElement>(null);
  const [values, setValues] = useState<Body>(action.initial ?? {});
  const [id, setId] = useState(action.id === undefined ? '' : String(action.id));
  const [faults, setFaults] = useState<Record<string, string>>({});
  const [shownFaults, setShownFaults] = useState(false);
  const [outcome, setOutcome] = useState<Outcome<unknown>>();
  const [dryRun, setDryRun] = useState(false);
  const [busy, setBusy] = useState(false);
  const keys = useRef(new Map<string, string>());

  useEffect(() => {
    dialog.current?.showModal();
  }, []);

  const fields = useMemo(() => {
    const left = (name: string) => name in (action.fixed ?? {}) || name === 'dry_run' || action.hidden?.includes(name);
    return inOrder(schema).filter(([name]) => !left(name));
  }, [schema, action]);
  const asksId = action.id === undefined && schema.path.includes('{id}');
  const patch = schema.method === 'patch';
  const full: Body = { ...values, ...action.fixed };
  const body = patch ? (patchOf(action.initial ?? {}, full) as Body) : full;
  const missing = missingOf(
    schema,
    fields.map(([name]) => name),
    body,
    patch,
    asksId && id === '',
  );
  const problems = { ...missing, ...faults };

  const send = async (dry: boolean) => {
    setShownFaults(true);
    if (Object.keys(problems).length > 0) return;
    const sent = dry ? { ...body, dry_run: true } : body;
    // A repeat of the same request has the same key, whatever became of the first one.
    const text = JSON.stringify([id, sent]);
    const key = keys.current.get(text) ?? crypto.randomUUID();
    keys.current.set(text, key);
    setBusy(true);
    const result = await sendWrite({
      ...schema,
      id,
      body: sent,
      idempotencyKey: key,
      ifMatch: schema.ifMatch ? (action.ifMatch ?? '*') : undefined,
    });
    setBusy(false);
    setDryRun(dry);
    setOutcome(result);
    if (result.kind === 'data' && !dry) reloadAll();
  };

  const problem = outcome?.kind === 'problem' ? outcome.problem : undefined;
  const done = outcome?.kind === 'data' && !dryRun;
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="action-title" onClose={closeAction}>
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void send(false);
        }}
      >
        <header>
          <h2 id="action-title">
            {action.label}
            {action.subject ? <>: {action.subject}</> : null}
          </h2>
          <button type="button" class="quiet" onClick={() => dialog.current?.close()} aria-label="Close">
            ✕
          </button>
        </header>
        {done ? (
          <Result data={outcome.data} />
        ) : (
          <>
            <p class="effect">{action.effect}</p>
            {asksId ? (
              <Field
                name="id"
                label={action.idLabel ?? 'Id'}
                schema={{ type: 'string' }}
                control={{ kind: 'text', long: false }}
                required
                initial={undefined}
                error={shownFaults ? problems['id'] : undefined}
                onValue={(value) => setId(String(value ?? ''))}
              />
            ) : null}
            {fields.map(([name, field]) => (
              <Field
                key={name}
                name={name}
                schema={field}
                control={controlOf(name, field)}
                required={schema.required.includes(name)}
                optional={!patch}
                initial={action.initial?.[name] ?? (schema.required.includes(name) ? undefined : field.default)}
                error={
                  (shownFaults ? problems[name] : undefined) ?? (problem?.field === name ? problem.detail : undefined)
                }
                onValue={(value, fault) => {
                  setValues((before) => without(before, name, value));
                  setFaults((before) => without(before, name, fault) as Record<string, string>);
                }}
              />
            ))}
            <Summary body={body} initial={patch ? (action.initial ?? {}) : undefined} />
            {problem ? <ProblemNotice problem={problem} /> : null}
            {outcome?.kind === 'data' && dryRun ? <Result data={outcome.data} dryRun /> : null}
          </>
        )}
        <footer>
          {done ? (
            <button type="button" class="primary" onClick={() => dialog.current?.close()}>
              Done
            </button>
          ) : (
            <>
              <button type="button" onClick={() => dialog.current?.close()}>
                Cancel
              </button>
              {'dry_run' in schema.properties ? (
                <button type="button" disabled={busy} onClick={() => void send(true)}>
                  Count first
                </button>
              ) : null}
              <button type="submit" class={action.danger ? 'danger' : 'primary'} disabled={busy}>
                {busy ? 'Sending…' : action.label}
              </button>
            </>
          )}
        </footer>
      </form>
    </dialog>
  );
}

function without(values: Body, name: string, value: unknown): Body {
  const { [name]: _, ...rest } = values;
  return value === undefined ? rest : { ...rest, [name]: value };
}

function missingOf(
  schema: ChangeSchema,
  fields: string[],
  body: Body,
  patch: boolean,
  id: boolean,
): Record<string, string> {
  const missing: Record<string, string> = id ? { id: 'Enter a value.' } : {};
  for (const name of patch ? [] : fields) {
    if (schema.required.includes(name) && body[name] === undefined) missing[name] = 'Enter a value.';
  }
  return missing;
}

/** What will be sent, in words, before it is sent. */
function Summary({ body, initial }: { body: Body; initial: Body | undefined }) {
  const shown = Object.entries(body).filter(([name]) => name !== 'reason');
  if (shown.length === 0) return initial ? <p class="muted">Nothing is changed yet.</p> : null;
  return (
    <section class="summary" aria-live="polite">
      <h3>What will change</h3>
      <dl>
        {shown.map(([name, value]) => (
          <div key={name}>
            <dt>{format.words(name)}</dt>
            <dd>
              {initial ? (
                <>
                  <del>{plain(name, initial[name])}</del> →{' '}
                </>
              ) : null}
              {plain(name, value)}
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function plain(name: string, value: unknown): string {
  if (value === undefined || value === null || value === '') return 'none';
  const control = controlOf(name, { type: 'integer' });
  if (typeof value === 'number' && control.kind === 'bytes')
    return `${format.bytes(value)} (${format.exactBytes(value)})`;
  if (typeof value === 'number' && control.kind === 'rate') return format.bitRate(value);
  if (typeof value === 'number' && control.kind === 'seconds') return format.duration(value);
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value)) return format.time(value, 'full');
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
