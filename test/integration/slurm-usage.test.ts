import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { State } from '../../proto/gen/grid/v1/common.ts';
import { pause } from '../../service/background.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { startTestNats, type TestNats, testNatsBinary } from '../fakes/nats.ts';
import { resourcesOf } from '../fakes/offers.ts';
import { EPOCH, startTestSite, type TestSite } from '../fakes/test-site.ts';
import { type SlurmCluster, startSlurm } from '../support/slurm-cluster.ts';

let cluster: SlurmCluster;
let grid: LiveGrid;
let nats: TestNats;
let site: TestSite;
let pc: TestSite;
beforeAll(async () => {
  cluster = await startSlurm({ nodes: 1, cpus: 2, memoryMb: 1_000 });
  grid = await openLiveGrid();
  nats = await startTestNats({ binary: await testNatsBinary(), vos: ['demo'] });
  await writeFile(join(grid.trustDir, 'nats.pem'), nats.caPem);
  site = await startTestSite(grid, 'cluster', ['lrms: slurm', `slurm: {conf: ${cluster.conf}}`]);
  pc = await startTestSite(grid, 'pc', ['cpus: 2']);
  for (const one of [site, pc]) await one.giveTicket(nats.accounts, 'demo');
});
afterAll(async () => {
  await pc[Symbol.asyncDispose]();
  await site[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

/**
 * A quarter of a GiB in two processes, 1.5 s of CPU time each, for `seconds` after the start; deaf to TERM. Each makes a file
 * when it has used that, and it says how long it took.
 */
const worker = (seconds: number) => ({
  command: [
    'perl',
    '-e',
    `use Time::HiRes "time"; my ($begin, $n) = (time, 1 << 27); my $end = $begin + ${seconds}; $SIG{TERM} = "IGNORE"; fork; my $x = "x" x $n;
    my @used; do { @used = times } while $used[0] + $used[1] < 1.5; open my $file, ">", "used.$$"; select(undef, undef, undef, $end - time) if $end > time; print time - $begin if wait > 0`,
  ],
  resources: resourcesOf({ cpus: 2, memoryBytes: 2 ** 29, walltimeMs: 60_000 }),
});

test('a task has used on Slurm what it uses on a plain machine, to a tenth', async () => {
  const usages = [];
  for (const one of [site, pc]) {
    await one.place([{ id: 'measured', spec: worker(12) }]);
    const { usage } = await one.outcomeOf('measured');
    usages.push(usage);
    const tookMs =
      1_000 * Number(readFileSync(join(one.spool, 'attempts/measured/stdout'), 'utf8'));
    expect(tookMs).toBeGreaterThan(0);
    expect(Math.abs(usage.wallMs - tookMs)).toBeLessThan(tookMs / 10);
  }
  const [here, there] = usages;
  if (here === undefined || there === undefined) throw new TypeError('two sites, two usages');
  const measured = ['cpuMs', 'peakMemoryBytes'] as const;
  const off = measured.filter((key) => Math.abs(here[key] - there[key]) > there[key] / 10);
  expect([here, there, off]).toEqual([here, there, []]);
  expect(here.peakMemoryBytes).toBeGreaterThan(2 ** 28);
  expect(here.cpuMs).toBeGreaterThanOrEqual(3_000);
});

test('a task that ignores TERM ends soon after KILL, and what it used is known', async () => {
  await site.place([{ id: 'deaf', spec: worker(300) }]);
  const work = join(site.spool, 'attempts/deaf/work');
  await expect.poll(() => readdirSync(work)).toHaveLength(2);
  // Some looks at its memory.
  await pause(6_000);
  await site.call().control({ epoch: EPOCH, cancel: ['deaf'], acknowledgedSeq: 0 });
  const askedAtMs = performance.now();
  const { state, exitCode, signal, usage } = await site.outcomeOf('deaf');
  const tookMs = performance.now() - askedAtMs;
  expect([state, exitCode, signal]).toEqual([State.STATE_CANCELLED, 137, 9]);
  // Three seconds of grace, and what it takes Slurm to say that it is gone; Slurm itself would kill after half a minute.
  expect(tookMs).toBeLessThan(25_000);
  expect(usage.cpuMs).toBeGreaterThanOrEqual(2_500);
  expect(usage.wallMs).toBeGreaterThanOrEqual(6_500);
  expect(usage.peakMemoryBytes).toBeGreaterThan(0.9 * 2 ** 28);
});
