import { useId, useState } from 'preact/hooks';
import {
  byteUnits,
  fromUnits,
  inUnits,
  rateUnits,
  secondUnits,
  valueOf,
  type Control,
  type FieldSchema,
} from '../api/form.ts';
import { toLocalInput, words } from '../format/format.ts';

interface Props {
  name: string;
  label?: string | undefined;
  schema: FieldSchema;
  control: Control;
  required: boolean;
  /** Whether the label says that the field may be left empty. */
  optional?: boolean;
  initial: unknown;
  error: string | undefined;
  /** Gets the value, or `undefined` if the field is empty, or the text of a fault. */
  onValue: (value: unknown, fault?: string) => void;
}

export function Field({ name, label, schema, control, required, optional = true, initial, error, onValue }: Props) {
  const id = useId();
  const help = [firstSentences(schema.description)].filter(Boolean).join(' ');
  const describedBy = `${id}-help${error ? ` ${id}-error` : ''}`;
  const common = {
    id,
    name,
    required,
    'aria-describedby': describedBy,
    'aria-invalid': error ? true : undefined,
  } as const;
  const change = (text: string) => {
    if (text.trim() === '') return onValue(undefined);
    try {
      onValue(valueOf(control, text));
    } catch (fault) {
      onValue(undefined, fault instanceof Error ? fault.message : String(fault));
    }
  };
  const units = unitsOf(control);
  const shown =
    control.kind === 'choices' ? (
      <fieldset class="choices" aria-describedby={describedBy}>
        <legend>{label ?? words(name)}</legend>
        <Choices options={control.options.map((option) => option.value)} initial={initial} onValue={onValue} />
      </fieldset>
    ) : control.kind === 'flag' ? (
      <label class="check" for={id}>
        <input
          {...common}
          required={false}
          type="checkbox"
          defaultChecked={initial === true}
          onChange={(event) => onValue(event.currentTarget.checked)}
        />
        <span>{label ?? words(name)}</span>
      </label>
    ) : (
      <>
        <label for={id}>
          {label ?? words(name)}
          {required || !optional ? '' : <span class="muted"> (optional)</span>}
        </label>
        {units ? (
          <WithUnit common={common} units={units} initial={initial} onValue={onValue} />
        ) : control.kind === 'choice' ? (
          <select {...common} onChange={(event) => change(event.currentTarget.value)}>
            <option value="" selected={initial === undefined}>
              Choose…
            </option>
            {control.options.map((option) => (
              <option
                key={option.value}
                value={option.value}
                selected={initial === option.value}
                title={option.description}
              >
                {words(option.value)}
              </option>
            ))}
          </select>
        ) : control.kind === 'json' || (control.kind === 'text' && control.long) ? (
          <textarea
            {...common}
            rows={control.kind === 'json' ? 8 : 2}
            maxLength={schema.maxLength}
            spellcheck={control.kind !== 'json'}
            defaultValue={textOf(control, initial)}
            onInput={(event) => change(event.currentTarget.value)}
          />
        ) : control.kind === 'time' ? (
          <input
            {...common}
            type="datetime-local"
            defaultValue={textOf(control, initial)}
            onInput={(event) => change(event.currentTarget.value)}
          />
        ) : (
          <input
            {...common}
            type="text"
            inputMode={control.kind === 'number' ? 'decimal' : undefined}
            maxLength={schema.maxLength}
            autocomplete="off"
            defaultValue={textOf(control, initial)}
            onInput={(event) => change(event.currentTarget.value)}
          />
        )}
      </>
    );
  return (
    <div class="field">
      {shown}
      <p id={`${id}-help`} class="help">
        {help}
      </p>
      {error ? (
        <p id={`${id}-error`} class="field-error" role="alert">
          {error}
        </p>
      ) : null}
    </div>
  );
}

function unitsOf(control: Control): Record<string, number> | undefined {
  if (control.kind === 'bytes') return byteUnits;
  if (control.kind === 'seconds') return secondUnits;
  return control.kind === 'rate' ? rateUnits : undefined;
}

/** Descriptions are Markdown; a form needs their text. */
const firstSentences = (text = '') => text.replaceAll('`', '').replaceAll('\n', ' ');

function textOf(control: Control, value: unknown): string {
  if (value === undefined || value === null) return '';
  if (control.kind === 'json') return JSON.stringify(value, null, 2);
  if (control.kind === 'time') return toLocalInput(String(value));
  return Array.isArray(value) ? value.join(', ') : String(value);
}

interface UnitProps {
  common: { id: string; name: string; required: boolean };
  units: Record<string, number>;
  initial: unknown;
  onValue: Props['onValue'];
}

function WithUnit({ common, units, initial, onValue }: UnitProps) {
  const [start, startUnit] =
    typeof initial === 'number'
      ? inUnits(initial, units)
      : ['', Object.keys(units).at(-1) === 'TB' ? 'GB' : (Object.keys(units).at(-1) ?? '')];
  const [text, setText] = useState(start);
  const [unit, setUnit] = useState(startUnit);
  const change = (nextText: string, nextUnit: string) => {
    setText(nextText);
    setUnit(nextUnit);
    const value = fromUnits(nextText, units[nextUnit] ?? 1);
    if (nextText.trim() === '') onValue(undefined);
    else onValue(value, value === undefined ? 'Enter a number that is a whole one in the smallest unit.' : undefined);
  };
  return (
    <div class="with-unit">
      <input
        {...common}
        type="text"
        inputMode="decimal"
        autocomplete="off"
        value={text}
        onInput={(event) => change(event.currentTarget.value, unit)}
      />
      <select aria-label="Unit" value={unit} onChange={(event) => change(text, event.currentTarget.value)}>
        {Object.keys(units).map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </div>
  );
}

function Choices({ options, initial, onValue }: { options: string[]; initial: unknown; onValue: Props['onValue'] }) {
  const [chosen, setChosen] = useState<string[]>(Array.isArray(initial) ? initial.map(String) : []);
  const toggle = (option: string, on: boolean) => {
    const next = on ? [...chosen, option] : chosen.filter((one) => one !== option);
    setChosen(next);
    onValue(next.length > 0 ? next : undefined);
  };
  return (
    <>
      {options.map((option) => (
        <label key={option} class="check">
          <input
            type="checkbox"
            checked={chosen.includes(option)}
            onChange={(event) => toggle(option, event.currentTarget.checked)}
          />
          <span>{option}</span>
        </label>
      ))}
    </>
  );
}
