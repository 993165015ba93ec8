import { Choice } from '../components/controls.tsx';
import { useStore } from './store.ts';
import { theme, type Theme } from './theme.ts';

export function ThemeSwitch() {
  const chosen = useStore(theme);
  return (
    <Choice<Theme>
      label="Colours"
      value={chosen}
      options={['system', 'light', 'dark']}
      names={{ system: 'System', light: 'Light', dark: 'Dark' }}
      onChange={(value) => theme.set(value)}
    />
  );
}
