import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

interface Answer {
  uri?: string;
  statusCode?: number;
  headers?: Record<string, { value: string }>;
  body?: { data: string };
}

/** The function of stacks/console.yaml, with the values of a deployment. */
function deployed(): (event: { request: { uri: string } }) => Answer {
  const template = readFileSync(new URL('../../../stacks/console.yaml', import.meta.url), 'utf8');
  const code = /FunctionCode: !Sub \|\n([\s\S]*?)\n {2}\w/.exec(template)?.[1] ?? '';
  const values: Record<string, string> = {
    Issuer: 'https://auth.example.com',
    ClientId: 'console',
    Scope: 'openid',
    ApiUrl: 'https://api.example.com',
  };
  const filled = code.replace(/\$\{(\w+)\}/g, (_, name: string) => values[name] ?? '');
  return new Function(`${filled}; return handler;`)() as ReturnType<typeof deployed>;
}

function ask(uri: string): Answer {
  return deployed()({ request: { uri } });
}

test('CloudFront answers with the settings, leads to the page, and passes files on', () => {
  const config = ask('/console/config.json');
  assert.equal(config.headers?.['content-type']?.value, 'application/json');
  assert.deepEqual(JSON.parse(config.body?.data ?? ''), {
    issuer: 'https://auth.example.com',
    client_id: 'console',
    scope: 'openid',
    api: 'https://api.example.com',
  });
  for (const uri of ['/', '/console']) {
    assert.deepEqual([ask(uri).statusCode, ask(uri).headers?.location?.value], [308, '/console/']);
  }
  assert.equal(ask('/console/').uri, '/console/index.html');
  assert.equal(ask('/console/assets/page.js').uri, '/console/assets/page.js');
});
