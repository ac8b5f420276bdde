import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { freePort } from '../../../service/nats/nats-config.ts';

test('no port is given twice before anybody can listen on it', async () => {
  const ports: number[] = [];
  for (let at = 0; at < 600; at += 1) ports.push(await freePort('127.0.0.1'));
  expect(new Set(ports).size).toBe(ports.length);
});

const MODULE = new URL('../../../service/nats/nats-config.ts', import.meta.url).href;
const ASK = `const { freePort } = await import('${MODULE}');
for (let at = 0; at < 300; at += 1) console.log(await freePort('127.0.0.1'));
process.stdout.write('done\\n');
process.stdin.resume();`;

test('nor to two processes that run at a time', async () => {
  const asking = [0, 1].map(() =>
    spawn(process.execPath, ['--input-type=module', '-e', ASK], {
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  );
  // Each has its ports until all of both are chosen.
  const said = await Promise.all(asking.map(({ stdout }) => untilDone(stdout)));
  for (const { stdin } of asking) stdin.end();
  const ports = said.flatMap((all) => all.match(/\d+/g) ?? []);
  expect(ports).toHaveLength(600);
  expect(new Set(ports).size).toBe(600);
});

const COUNT = `const { readdirSync } = await import('node:fs');
const { freePort } = await import('${MODULE}');
await freePort('127.0.0.1');
const before = readdirSync('/proc/self/fd').length;
for (let at = 0; at < 600; at += 1) await freePort('127.0.0.1');
process.stdout.write(String(readdirSync('/proc/self/fd').length - before));`;

test('a number that is taken already costs no descriptor', async () => {
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', COUNT]);
  expect(stdout).toBe('600');
});

async function untilDone(stdout: NodeJS.ReadableStream): Promise<string> {
  let said = '';
  stdout.on('data', (chunk) => {
    said += String(chunk);
  });
  while (!said.endsWith('done\n')) await once(stdout, 'data');
  return said;
}
