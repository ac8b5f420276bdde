import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { keyOf } from '../../site-gateway/lrms/batch/batch-system.ts';
import { openGridEngine } from '../../site-gateway/lrms/gridengine/gridengine.ts';
import { SELF } from '../fakes/job-owners.ts';
import { startGridEngine } from '../support/gridengine-cluster.ts';
import { SOON } from '../support/lrms-port.ts';

test('a job that Grid Engine has suspended, or the queue of it, is suspended', async () => {
  await using cluster = await startGridEngine({ hosts: 1, slots: 2, memoryMb: 1_000 });
  using cleanup = new DisposableStack();
  const dir = cleanup.adopt(mkdtempSync(join(tmpdir(), 'hanse-sge-suspended-')), (made) =>
    rmSync(made, { recursive: true, maxRetries: 5 }),
  );
  const script = join(dir, 'sleeps');
  writeFileSync(script, "#!/bin/sh\ntrap '' USR1\nexec sleep 300\n", { mode: 0o755 });
  const directory = join(dir, 'marks');
  mkdirSync(directory);
  const system = openGridEngine(cluster.options({}));
  const element = { token: 'e'.repeat(16), index: 1 };
  const state = async () => (await system.poll(SELF)).jobs.get(keyOf(element))?.state;
  await system.poll(SELF);
  const needs = { cpus: 1, memoryBytes: 2 ** 26, gpus: 0, nodes: 1, walltimeMs: 600_000 };
  const order = { token: element.token, directory, script, count: 1, needs, comment: 'sleeps' };
  const answer = await system.submit(order);
  if (answer.kind !== 'submitted') throw new TypeError(answer.words);
  await expect.poll(() => cluster.run('qstat'), SOON).toMatch(/ r +/);
  for (const [suspend, resume, what] of [
    ['-sj', '-usj', answer.jobOf(1)],
    ['-sq', '-usq', 'main.q'],
  ] as const) {
    await cluster.run('qmod', suspend, what);
    await expect.poll(state, SOON).toBe('suspended');
    await cluster.run('qmod', resume, what);
    await expect.poll(state, SOON).toBe('runs');
  }
  await cluster.run('qdel', answer.jobOf(1));
});
