/** The template of docs/lrms.md with the batch system that it is for. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import { loadTemplate } from '../../site-gateway/lrms/command/load-template.ts';
import { openCommand } from '../../site-gateway/lrms/command/open-command.ts';
import { commandOptionsOf } from '../fakes/command-options.ts';
import { needs } from '../setup/needs.ts';
import { commandOutput, processesNaming } from '../support/daemons.ts';
import { openPort, type Port, SOON } from '../support/lrms-port.ts';

needs('tsp', 'task-spooler');
let dir: string;
let env: Readonly<Record<string, string>>;
let port: Port;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-tsp-'));
  env = { TS_SOCKET: join(dir, 'socket'), TS_SLOTS: '3', TMPDIR: dir };
  const guide = readFileSync(resolve(import.meta.dirname, '../../docs/lrms.md'), 'utf8');
  const [template = ''] = /^ {4}name: Task Spooler\n(?: {4}.*\n)+/m.exec(guide) ?? [];
  writeFileSync(join(dir, 'tsp.yaml'), template.replaceAll(/^ {4}/gm, ''));
  const options = commandOptionsOf(loadTemplate(join(dir, 'tsp.yaml')), { env });
  port = await openPort(openCommand(options), dir);
});
afterAll(async () => {
  await port[Symbol.asyncDispose]();
  await commandOutput('tsp', ['-K'], env);
  rmSync(dir, { recursive: true, maxRetries: 5 });
});

test('a template for a batch system that knows nothing of memory does all that is asked', async () => {
  port.submit('good', 'exit 7');
  port.submit('deaf', "trap '' TERM; sleep 300 & while :; do sleep 0.1; done");
  port.submit('greedy', `x=$(head -c ${2 ** 27} /dev/zero | tr '\\0' x); sleep 300`);
  await Promise.all(['deaf', 'greedy'].map((id) => port.begun(id)));
  port.submit('last', 'exit 1', { cpus: 3 });
  await expect.poll(() => commandOutput('tsp', [], env), SOON).toContain('queued');
  port.lrms.cancel(attemptId('last'), 500);
  expect(await port.endOf('last')).toMatchObject({ kind: 'not-started', reason: 'CANCELLED' });
  port.lrms.cancel(attemptId('deaf'), 500);
  expect(await port.endOf('deaf')).toMatchObject({ kind: 'exited', exitCode: 137 });
  expect(await port.endOf('good')).toMatchObject({ kind: 'exited', exitCode: 7 });
  expect(await port.endOf('greedy')).toMatchObject({
    ...{ kind: 'limit', limit: 'memory', allowed: 2 ** 26 },
  });
  await expect.poll(() => commandOutput('tsp', [], env), SOON).not.toMatch(/running|queued/);
  const tasks = join(dir, 'attempts');
  await expect.poll(() => processesNaming(tasks), SOON).toEqual([]);
});
