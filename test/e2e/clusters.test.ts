/** One grid over a plain machine, a real Slurm and a real Grid Engine: what holds at one site holds at all. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { SITE_FAILURE_BUDGET } from '../../core/retry/retry.ts';
import { pause } from '../../service/background.ts';
import { type GridEngineCluster, startGridEngine } from '../support/gridengine-cluster.ts';
import { jobEnd } from '../support/jobs.ts';
import { eventually, type LocalGrid, startLocalGrid } from '../support/local-grid.ts';
import { type SlurmCluster, startSlurm } from '../support/slurm-cluster.ts';
import { crashSlurmctld } from '../support/slurm-crash.ts';

const CPUS = 4;
/** Tasks beyond its CPUs that the Slurm site takes. */
const BACKLOG = 400;
const SITES = ['luebeck', 'hamburg', 'visby'] as const;
const [PLAIN, SLURM, GRID_ENGINE] = SITES;

let slurm: SlurmCluster;
let gridEngine: GridEngineCluster;
let grid: LocalGrid;
let scratch: string;
beforeAll(async () => {
  slurm = await startSlurm({ nodes: 2, cpus: CPUS, memoryMb: 2_000 });
  gridEngine = await startGridEngine({ hosts: 1, slots: CPUS, memoryMb: 2_000 });
  const siteSettings = [
    {},
    { lrms: 'slurm', slurm: { conf: slurm.conf }, cpus: 2 * CPUS, backlog: BACKLOG },
    { ...parse(gridEngine.settings.join('\n')), backlog: 50 },
  ];
  grid = await startLocalGrid({ sites: 3, cpusPerSite: CPUS, siteSettings });
  scratch = mkdtempSync(join(tmpdir(), 'hanse-clusters-'));
});
afterAll(async () => {
  await grid[Symbol.asyncDispose]();
  await gridEngine[Symbol.asyncDispose]();
  await slurm[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true });
});

interface Shown {
  readonly id: string;
  readonly state: string;
  readonly taskList: readonly {
    readonly site: string;
    readonly state: string;
    readonly exitCode: number;
    readonly reason: string;
    readonly usage: Readonly<Record<'cpuMs' | 'wallMs' | 'peakMemoryBytes', number>>;
  }[];
}

/** Runs the CLI; it must say yes. */
async function said(...args: readonly string[]): Promise<string> {
  const ran = await grid.grid(args, { cwd: scratch });
  expect(ran).toMatchObject({ code: 0 });
  return ran.stdout.trim();
}
const shown = async (id: string): Promise<Shown> => JSON.parse(await said('status', id, '--json'));
const ended = async (id: string): Promise<Shown> => {
  using connection = await grid.broker();
  await jobEnd(connection.call, id, 240_000);
  return await shown(id);
};

/** Digest of every file below a directory, by its path in there. */
function digestsOf(dir: string): ReadonlyMap<string, string> {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return new Map(
    files
      .map((entry) => join(entry.parentPath, entry.name))
      .toSorted()
      .map((file) => [
        file.slice(dir.length),
        createHash('sha256').update(readFileSync(file)).digest('hex'),
      ]),
  );
}

describe('one job document', () => {
  // As much CPU time as is said, on a busy machine too.
  const BURN =
    'const used = () => { const { user, system } = process.cpuUsage(); return user + system; }; while (used() < 1.5e6);';
  const document = `
name: "it's \\"$(id)\\" ü #SBATCH -p nope #$ -q nope"
command: [sh, study.sh, "it's", '$(id)', 'ü #SBATCH #$']
inputs: [study.sh, words.txt, {from: "it's ü", to: 'sub/#$ -q "$(id)"'}]
outputs: [result, 'parts/*']
env: {STRANGE: "a\\nb #$ -q x"}
cpus: 1
memory: 256M
walltime: 5m
`;

  test('gives the same at every site', async () => {
    writeFileSync(join(scratch, 'job.yaml'), document);
    writeFileSync(join(scratch, 'words.txt'), 'alpha\nbeta\n');
    writeFileSync(join(scratch, "it's ü"), 'gamma');
    const script = `
      mkdir parts; sort -r words.txt >result; cat sub/* >parts/'#$ "$(id)"'; printf '%s|' "$@" "$STRANGE" "$GRID_CPUS" "$GRID_NODES" >parts/words
      head -c 3000000 /dev/zero >parts/zeros; echo out; echo err >&2
      '${process.execPath}' -e '${BURN}'; exit 0`;
    writeFileSync(join(scratch, 'study.sh'), script);
    const results = await Promise.all(
      SITES.map(async (site) => {
        const id = await said('submit', 'job.yaml', '--site', site);
        const job = await ended(id);
        const target = join(scratch, `results-${site}`);
        mkdirSync(target);
        await said('get', id, '--to', target);
        return { site, job, digests: digestsOf(target) };
      }),
    );
    const [plain, ...others] = results;
    expect(plain?.digests.size).toBeGreaterThanOrEqual(3);
    expect(plain?.job.taskList[0]?.usage.cpuMs).toBeGreaterThan(1_400);
    for (const { site, job } of results)
      expect(job).toMatchObject({
        state: 'done',
        taskList: [{ site, state: 'done', exitCode: 0, reason: '' }],
      });
    for (const { job, digests } of others) {
      expect(digests).toEqual(plain?.digests);
      const ratio =
        (job.taskList[0]?.usage.cpuMs ?? 0) / (plain?.job.taskList[0]?.usage.cpuMs ?? Number.NaN);
      expect(Math.abs(ratio - 1)).toBeLessThan(0.1);
    }
  }, 300_000);
});

test('what a task used is told the same at every site', async () => {
  // So long that a slow start on a busy machine is no tenth of it, and that all looks fall within it.
  const script =
    'const all = Buffer.alloc(200 * 2 ** 20, 1); setTimeout(() => console.log(all.length), 24_000);';
  const used = await Promise.all(
    SITES.map(async (site) => {
      const words = ['--site', site, '--memory', '512M', '--', process.execPath, '-e', script];
      const job = await ended(await said('submit', ...words));
      expect(job).toMatchObject({ state: 'done' });
      return job.taskList[0]?.usage;
    }),
  );
  for (const name of ['peakMemoryBytes', 'wallMs'] as const) {
    const values = used.map((usage) => usage?.[name] ?? Number.NaN);
    const ratio = Math.max(...values) / Math.min(...values);
    expect(ratio, `${name}: ${values.join()}`).toBeLessThan(1.1);
  }
  expect(used[0]?.peakMemoryBytes).toBeGreaterThan(200 * 2 ** 20);
}, 300_000);

describe('how a task ends', () => {
  const until = (state: string) => (id: string) =>
    eventually(`${id} is ${state}`, 120_000, async () =>
      (await shown(id)).taskList[0]?.state === state ? true : undefined,
    );
  const nothing = async (): Promise<void> => undefined;
  const cases = [
    {
      what: 'by its own code',
      args: ['--', 'sh', '-c', 'exit 7'],
      meanwhile: nothing,
      end: { state: 'failed', reason: 'EXIT_NONZERO', exitCode: 7 },
    },
    {
      what: 'over its memory',
      args: [
        ...['--memory', '100M', '--retries', '0', '--', process.execPath, '-e'],
        'const all = []; while (all.length < 400) all.push(Buffer.alloc(2 ** 20, 1)); setTimeout(() => 0, 60_000);',
      ],
      meanwhile: nothing,
      end: { state: 'failed', reason: 'MEMORY_EXCEEDED' },
    },
    {
      what: 'over its disk',
      args: [
        ...['--disk', '10M', '--retries', '0', '--', 'sh', '-c'],
        'head -c 20000000 /dev/zero >large; sleep 60',
      ],
      meanwhile: nothing,
      end: { state: 'failed', reason: 'DISK_EXCEEDED' },
    },
    {
      what: 'over its walltime, deaf to TERM',
      args: [
        ...['--walltime', '2s', '--retries', '0', '--', 'sh', '-c'],
        "trap '' TERM; while :; do sleep 0.1; done",
      ],
      meanwhile: nothing,
      end: { state: 'failed', reason: 'WALLTIME_EXCEEDED' },
    },
    {
      what: 'when it is cancelled while it runs',
      args: ['--', 'sleep', '300'],
      meanwhile: async (id: string) => {
        await until('running')(id);
        await said('cancel', id);
      },
      end: { state: 'cancelled' },
    },
    {
      what: 'when it is cancelled while it waits',
      args: ['--cpus', String(CPUS), '--', 'sleep', '300'],
      meanwhile: async (id: string) => {
        await until('submitted')(id);
        await said('cancel', id);
      },
      end: { state: 'cancelled' },
    },
  ];

  // Each site by itself, all three at once.
  test.concurrent.for(SITES)('is told alike: %s', async (site) => {
    const [last] = cases.slice(-1);
    const submit = (args: readonly string[]): Promise<string> =>
      said('submit', '--site', site, ...args);
    const ends: unknown[] = [];
    for (const { what, args, meanwhile } of cases) {
      // What is to wait finds the site full.
      const fillers: string[] = [];
      if (what === last?.what) {
        const nodes = site === SLURM ? 2 : 1;
        for (let node = 0; node < nodes; node += 1)
          fillers.push(await submit(['--cpus', String(CPUS), '--', 'sleep', '300']));
        for (const filler of fillers) await until('running')(filler);
      }
      const id = await submit(args);
      await meanwhile(id);
      ends.push({ what, ...(await ended(id)).taskList[0] });
      for (const filler of fillers) await said('cancel', filler);
    }
    expect(ends).toMatchObject(cases.map(({ what, end }) => ({ what, site, ...end })));
  });
});

const SOON = { timeout: 60_000, interval: 300 };

test('what a batch system will not have is told in its own words, with the name of the site', async () => {
  const ge = (option: string, list: string): Promise<string> =>
    gridEngine.run('qconf', option, 'queue', 'user_lists', list, 'main.q', 'long.q');
  await gridEngine.configure('-Au', 'name chosen\ntype ACL\nfshare 0\noticket 0\nentries nobody\n');
  const cases = [
    {
      site: SLURM,
      bar: () => slurm.run('scontrol', 'update', 'PartitionName=main', 'DisableRootJobs=YES'),
      free: () => slurm.run('scontrol', 'update', 'PartitionName=main', 'DisableRootJobs=NO'),
      words: `${SLURM}: Slurm did not take it: Invalid user id`,
    },
    {
      site: GRID_ENGINE,
      bar: () => ge('-aattr', 'chosen'),
      free: () => ge('-dattr', 'chosen'),
      words: `${GRID_ENGINE}: Grid Engine did not take it: no suitable queues: has no permission for cluster queue "main.q"`,
    },
  ];
  const refusals = cases.map(async ({ site, bar, free, words }) => {
    await bar();
    const id = await said('submit', '--site', site, '--', 'true');
    const again = `release: queued at ${site}  SITE_REFUSED: ${words}`;
    await expect.poll(() => said('job', 'events', id), SOON).toContain(again);
    // While it is being tried once more there is nothing to say.
    const why = async (): Promise<string> => (await said('why', id)).replaceAll(/\s+/g, ' ');
    await expect.poll(why, SOON).toContain(words);
    expect((await ended(id)).taskList).toMatchObject([
      { state: 'failed', reason: 'SITE_REFUSED', site },
    ]);
    const tries = SITE_FAILURE_BUDGET + 1;
    expect(await said('status', id)).toContain(
      `gave up after ${tries} failures of sites, the last: ${words}`,
    );
    expect((await said('job', 'events', id)).split(again)).toHaveLength(tries);
    await free();
  });
  await Promise.all(refusals);
});

test('a thousand tasks over Slurm and a plain machine run once each, whatever is killed', async () => {
  const TASKS = 1_000;
  const witness = join(scratch, 'starts');
  writeFileSync(witness, '');
  const starts = (): readonly number[] =>
    readFileSync(witness, 'utf8').trim().split('\n').map(Number);
  const id = await said(
    ...['submit', '--site', SLURM, '--site', PLAIN, '--array', `1-${TASKS}`],
    // As many at a time as there are cores.
    ...['--memory', '64M', '--retries', '0'],
    ...['--', 'sh', '-c', `echo $GRID_TASK >>${witness}`],
  );
  const untilStarted = (count: number): Promise<true> =>
    eventually(`${count} tasks have started`, 120_000, async () =>
      starts().length >= count ? true : undefined,
    );
  await untilStarted(100);
  // Not what has ended for the gateway, and not yet for Slurm.
  const waits = await slurm.run('squeue', '-h', '-r', '-t', 'PENDING', '-o', '%i');
  expect(waits.trim().split('\n').length).toBeLessThanOrEqual(2 * CPUS + BACKLOG);
  await grid.crash(`site-${SLURM}`);
  await pause(500);
  await grid.processes.startSite(SLURM);
  await untilStarted(300);
  await crashSlurmctld(slurm);
  // Nodes that hold jobs which it has forgotten are drained.
  using _administrator = slurm.administer();
  using connection = await grid.broker();
  const { summary, tasks } = await jobEnd(connection.call, id, 400_000).catch(slurm.explain);
  expect(summary?.counts).toMatchObject({ done: TASKS, failed: 0 });
  expect(starts().toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: TASKS }, (_, at) => at + 1),
  );
  expect(new Set(tasks.map(({ site }) => site))).toEqual(new Set([SLURM, PLAIN]));
}, 500_000);

test('sites are told apart by their batch systems', async () => {
  const sites: readonly { readonly id: string; readonly offer: { readonly lrms: string } }[] =
    JSON.parse(await said('sites', '--json'));
  expect(Object.fromEntries(sites.map(({ id, offer }) => [id, offer.lrms]))).toEqual({
    [PLAIN]: 'fork',
    [SLURM]: 'slurm',
    [GRID_ENGINE]: 'gridengine',
  });
});
