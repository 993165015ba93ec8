import { render } from 'preact';
import './app/style.css';
import { startClient } from './api/client.ts';
import { App } from './app/App.tsx';
import { loadConfig } from './app/config.ts';
import { applyTheme } from './app/theme.ts';
import { session, startSession } from './auth/session.ts';

applyTheme();
const root = document.getElementById('app');
if (root) render(<App />, root);

try {
  const config = await loadConfig();
  startClient(config);
  await startSession(config);
} catch (error) {
  session.set({ state: 'failed', reason: error instanceof Error ? error.message : String(error) });
}
