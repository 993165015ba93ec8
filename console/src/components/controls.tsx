import type { ComponentChildren } from 'preact';
import { useId, useState } from 'preact/hooks';
import { useFilter } from '../app/router.ts';

interface ChoiceProps<T extends string> {
  label: string;
  value: T;
  options: readonly T[];
  names: Partial<Record<T, string>>;
  onChange: (value: T) => void;
}

/** A few alternatives, of which one holds. */
export function Choice<T extends string>({ label, value, options, names, onChange }: ChoiceProps<T>) {
  const name = useId();
  return (
    <fieldset class="choice">
      <legend class="hidden">{label}</legend>
      {options.map((option) => (
        <label key={option}>
          <input type="radio" name={name} value={option} checked={option === value} onChange={() => onChange(option)} />
          <span>{names[option] ?? option}</span>
        </label>
      ))}
    </fieldset>
  );
}

export function Select<T extends string>({ label, value, options, names, onChange }: ChoiceProps<T>) {
  return (
    <label class="field-inline">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value as T)}>
        {options.map((option) => (
          <option key={option} value={option}>
            {names[option] ?? option}
          </option>
        ))}
      </select>
    </label>
  );
}

export function Check({
  label,
  checked,
  onChange,
}: {
  label: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
}) {
  return (
    <label class="check">
      <input type="checkbox" checked={checked} onChange={(event) => onChange(event.currentTarget.checked)} />
      <span>{label}</span>
    </label>
  );
}

/** A yes/no filter in the address. */
export function useSwitch(name: string): [boolean, (on: boolean) => void] {
  const [value, setValue] = useFilter<'no' | 'yes'>(name, 'no', ['no', 'yes']);
  return [value === 'yes', (on) => setValue(on ? 'yes' : 'no')];
}

/** A filter that applies when the reader is done, not with each letter. */
export function Search({
  label,
  value,
  placeholder,
  onSearch,
}: {
  label: string;
  value: string;
  placeholder?: string;
  onSearch: (value: string) => void;
}) {
  const id = useId();
  return (
    <form
      class="search"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        onSearch(String(new FormData(event.currentTarget).get('search') ?? '').trim());
      }}
    >
      <label for={id} class="hidden">
        {label}
      </label>
      <input
        key={value}
        id={id}
        name="search"
        type="search"
        defaultValue={value}
        placeholder={placeholder ?? label}
        autocomplete="off"
        spellcheck={false}
      />
      <button type="submit">Search</button>
    </form>
  );
}

/** A filter by the id of a server. Any other text removes the filter. */
export function ServerFilter({ value, onChange }: { value: string; onChange: (server: string) => void }) {
  return (
    <Search label="Id of the server" value={value} onSearch={(given) => onChange(/^\d+$/.test(given) ? given : '')} />
  );
}

export function Copy({ text, children = 'Copy' }: { text: string; children?: ComponentChildren }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text).then(
      () => setCopied(true),
      () => undefined,
    );
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <button type="button" class="quiet" onClick={() => void copy()}>
      <span aria-live="polite">{copied ? 'Copied' : children}</span>
    </button>
  );
}
