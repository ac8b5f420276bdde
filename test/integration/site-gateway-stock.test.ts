import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Offer, Resources } from '../../proto/gen/grid/v1/common.ts';
import { State } from '../../proto/gen/grid/v1/common.ts';
import { Acceptance } from '../../proto/gen/grid/v1/site.ts';
import { pause } from '../../service/background.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { resourcesOf } from '../fakes/offers.ts';
import { EPOCH, startTestSite, type TestSite } from '../fakes/test-site.ts';

const MIB = 2 ** 20;
let grid: LiveGrid;
let site: TestSite;
beforeAll(async () => {
  grid = await openLiveGrid();
  site = await startTestSite(grid, 'stock', [
    'cpus: 8',
    'memory: 4G',
    'disk: 50M',
    'licences: {matlab: 2}',
    'price: 0.25',
  ]);
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
});

const offered = async (): Promise<Offer | undefined> => {
  const stop = new AbortController();
  const stream = site.call().advertise({ epoch: EPOCH, leaseMs: 60_000 }, { signal: stop.signal });
  for await (const { offer } of stream) {
    stop.abort();
    return offer;
  }
  return undefined;
};
const asking = (part: Partial<Resources>) => resourcesOf({ memoryBytes: MIB, ...part });

test('the offer has disk, licences and price', async () => {
  expect(await offered()).toMatchObject({
    totalDiskBytes: 50 * MIB,
    freeDiskBytes: 50 * MIB,
    licences: [{ name: 'matlab', total: 2, free: 2 }],
    price: 0.25,
  });
});

test.each([
  [{ diskBytes: 51 * MIB }, 'it asks for 51 MiB of disk, the site has 50 MiB'],
  [{ licences: { matlab: 3 } }, 'it asks for 3 of licence matlab, the site has 2'],
  [{ licences: { ansys: 1 } }, 'it asks for 1 of licence ansys, the site has 0'],
  [{ gpuModel: 'a100' }, 'it asks for a GPU of model a100, the site has none'],
])('%o is refused with both values', async (part, detail) => {
  const spec = { command: ['true'], resources: asking(part) };
  const [answer] = await site.place([{ id: `no-${detail.length}`, spec }]);
  expect(answer).toMatchObject({
    acceptance: Acceptance.ACCEPTANCE_REFUSED,
    reason: 'TOO_LARGE',
    detail,
  });
});

test('licences and disk of accepted attempts are counted, and tasks wait for them, also over a restart', async () => {
  const file = join(site.dir, 'held');
  // However long the gateway takes to be back.
  const waits = `until test -e ${file}-no-more; do sleep 0.1; done; sleep 0.5`;
  const command = ['sh', '-c', `echo + >>${file}; ${waits}; echo - >>${file}`];
  const resources = asking({ licences: { matlab: 1 }, diskBytes: 10 * MIB });
  const attempts = ['a', 'b', 'c', 'd'].map((id) => ({ id, spec: { command, resources } }));
  await site.place(attempts);
  await pause(300);
  await site.kill();
  await site.start();
  expect(await offered()).toMatchObject({
    freeDiskBytes: 10 * MIB,
    licences: [{ name: 'matlab', total: 2, free: 0 }],
  });
  // Both begin before either may end.
  const begun = (): Promise<string> => readFile(file, 'utf8').catch(() => '');
  await expect.poll(begun).toBe('+\n+\n');
  await writeFile(`${file}-no-more`, '');
  const updates = await site.untilEnded(attempts.map(({ id }) => id));
  const ends = updates.filter(({ outcome }) => outcome !== undefined);
  expect(ends.map(({ state }) => state)).toEqual(attempts.map(() => State.STATE_DONE));
  const signs = (await readFile(file, 'utf8')).trim().split('\n');
  const held = signs.map((_, at) =>
    signs.slice(0, at + 1).reduce((sum, sign) => sum + (sign === '+' ? 1 : -1), 0),
  );
  expect(signs).toHaveLength(8);
  expect(Math.max(...held)).toBe(2);
  await expect.poll(offered).toMatchObject({ licences: [{ free: 2 }] });
});

test('a task that waits for a licence can be cancelled', async () => {
  const resources = asking({ licences: { matlab: 2 } });
  await site.place([
    { id: 'holder', spec: { command: ['sleep', '300'], resources } },
    { id: 'waiter', spec: { command: ['true'], resources } },
  ]);
  const cancel = (id: string) =>
    site.call().control({ epoch: EPOCH, cancel: [id], acknowledgedSeq: 0 });
  await cancel('waiter');
  expect(await site.outcomeOf('waiter')).toMatchObject({ state: State.STATE_CANCELLED });
  await cancel('holder');
  expect(await site.outcomeOf('holder')).toMatchObject({ state: State.STATE_CANCELLED });
});
