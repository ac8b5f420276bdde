import { once } from 'node:events';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { layoutOf } from '../../cli/up/layout.ts';
import { makeGrid } from '../../cli/up/make-grid.ts';
import { endProcessesBelow, processesBelow } from '../../cli/up/process.ts';
import { GridProcesses, obtainNatsServer } from '../../cli/up/start-grid.ts';
import { testDirs } from '../support/test-dirs.ts';

const newDir = testDirs('up-cluster');

test('where one nats-server of a cluster cannot start, the others are not left behind', async () => {
  const layout = layoutOf(join(newDir(), 'g'));
  const { signal } = new AbortController();
  const binary = await obtainNatsServer(process.env, homedir(), signal, () => undefined);
  const plan = await makeGrid(layout, { vo: 'demo', sites: 1, cpusPerSite: 1, natsServers: 3 });
  const taken = createServer((socket) => socket.destroy());
  taken.listen(plan.ports.nats, '127.0.0.1');
  await once(taken, 'listening');
  const options = { layout, plan, env: process.env, detached: true, signal, binary };
  const processes = new GridProcesses(options);
  try {
    await expect(processes.startNats()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(processes.all.map(({ name }) => name).toSorted()).toEqual(['nats-n2', 'nats-n3']);
    await processes.stop();
    expect(processesBelow(layout.dir)).toEqual([]);
  } finally {
    await endProcessesBelow(layout.dir);
    taken.close();
  }
});
