// Changes are made in one dialog, which is loaded with the first change.
import type { ComponentChildren } from 'preact';
import type { ChangeName } from '../api/generated/changes.d.ts';
import { lazy } from '../app/lazy.tsx';
import { createStore, useStore } from '../app/store.ts';
import { mayChange } from '../auth/token.ts';
import { session } from '../auth/session.ts';

export interface Action {
  change: ChangeName;
  /** Text of the button that opens the dialog, and of the one that confirms. */
  label: string;
  /** What is changed, such as the name of a server. */
  subject?: ComponentChildren;
  /** Id in the path. If it is missing and the path has one, the form asks for it. */
  id?: string | number;
  /** Label of the id that the form asks for. */
  idLabel?: string;
  /** Fields of the body with a fixed value, which the form does not show. */
  fixed?: Record<string, unknown>;
  /** Values from which the form starts. A patch sends only what differs from them. */
  initial?: Record<string, unknown>;
  /** Fields that the form leaves out. */
  hidden?: string[];
  /** What happens, in plain words. */
  effect: string;
  danger?: boolean;
  /** For changes that users make for themselves. */
  anyone?: boolean;
  /** Tag of the version that was read, for changes that must not overwrite others. */
  ifMatch?: string;
}

const opened = createStore<Action | null>(null);
export const closeAction = () => opened.set(null);

const Dialog = lazy<{ action: Action }>(() =>
  import('./ActionDialog.tsx').then((module) => ({ default: module.ActionDialog })),
);

export function ActionHost() {
  const action = useStore(opened);
  return action ? <Dialog action={action} /> : null;
}

/** A button that opens the dialog. Readers without the permission to change anything do not see it. */
export function ActionButton({ action, primary = false }: { action: Action; primary?: boolean }) {
  const now = useStore(session);
  if (now.state !== 'signed-in' || !(action.anyone || mayChange(now.claims))) return null;
  return (
    <button
      type="button"
      data-change={action.change}
      class={primary ? 'primary' : action.danger ? 'danger-quiet' : ''}
      onClick={() => opened.set(action)}
    >
      {action.label}
    </button>
  );
}
