import { createStore } from './store.ts';

export type Theme = 'system' | 'light' | 'dark';
const key = 'telecom.theme';

function stored(): Theme {
  const value = localStorage.getItem(key);
  return value === 'light' || value === 'dark' ? value : 'system';
}

export const theme = createStore<Theme>(stored());

export function applyTheme(): void {
  const chosen = theme.get();
  if (chosen === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = chosen;
}

theme.follow(() => {
  localStorage.setItem(key, theme.get());
  applyTheme();
});
