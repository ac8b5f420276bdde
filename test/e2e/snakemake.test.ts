/** docs/snakemake.md: Debian's snakemake runs a workflow of 30 rules on a plain machine, a real Slurm and a real Grid Engine at a time. */
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { endProcessesBelow } from '../../cli/up/process.ts';
import { freePort } from '../../service/nats/nats-config.ts';
import { needs } from '../setup/needs.ts';
import { type GridEngineCluster, startGridEngine } from '../support/gridengine-cluster.ts';
import { GRID, type LocalGrid, runGridWith, startLocalGrid } from '../support/local-grid.ts';
import { type SlurmCluster, startSlurm } from '../support/slurm-cluster.ts';

const run = promisify(execFile);
const CANCEL = join(dirname(GRID), 'bin', 'grid-cancel');
const PARTS = Array.from({ length: 14 }, (_, at) => `p${at + 1}`);
let grid: LocalGrid;
let cluster: SlurmCluster;
let gridEngine: GridEngineCluster;
let dir: string;

beforeAll(async () => {
  needs('snakemake', 'snakemake');
  dir = mkdtempSync(join(tmpdir(), 'hanse-snakemake-'));
  gridEngine = await startGridEngine({ hosts: 1, slots: 2, memoryMb: 4_000 });
  const siteSettings = [{}, parse(gridEngine.settings.join('\n'))];
  [grid, cluster] = await Promise.all([
    startLocalGrid({ sites: 2, cpusPerSite: 2, siteSettings }),
    startSlurm({ nodes: 2, cpus: 2, memoryMb: 4_000 }),
  ]);
  const port = String(await freePort('127.0.0.1'));
  const words = ['site', 'invite', 'cluster', '--host', 'localhost', '--port', port, '--json'];
  const { token } = JSON.parse((await grid.grid(words)).stdout) as { token: string };
  const site = join(dir, 'site');
  const env = { ...process.env, HANSE_HOME: grid.layout.user, SLURM_CONF: cluster.conf };
  const enrol = [GRID, 'site', 'enrol', token, '--lrms', 'slurm', '--dir', site];
  const enrolled = await runGridWith(enrol, { cwd: dir, env });
  if (enrolled.code !== 0) throw new Error(enrolled.stderr);
});
afterAll(async () => {
  await endProcessesBelow(dir);
  await cluster[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
  await gridEngine[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

/** Counts lines, once seven of its kind have met: no two sites have room for all of them. */
const COUNT = `touch "$2"
until [ "$(ls "\${2%/*}" | wc -l)" -ge 7 ]; do sleep 0.1; done
wc -l <"$1"
`;

/** 14 texts are made, 14 are counted by a script beside the Snakefile, one sums up, one reads the configuration. */
const SNAKEFILE = `
configfile: "config.yaml"
PARTS = config["parts"]
rule all:
    input: "out/report.txt"
rule make:
    output: "out/{part}.txt"
    resources: mem_mb=100, runtime=5
    shell: "seq {config[lines]} > {output}"
rule count:
    input: "out/{part}.txt"
    output: "out/{part}.count", "out/{part}.where"
    log: "logs/{part}.log"
    resources: mem_mb=100, runtime=5
    shell: "sh scripts/count.sh {input} {config[met]}/{wildcards.part} > {output[0]}; (pwd; echo $GRID_SITE) > {output[1]}"
rule sum:
    input: expand("out/{part}.count", part=PARTS)
    output: "out/sum.txt"
    resources: mem_mb=100, runtime=5
    shell: "cat {input} | paste -sd+ | sed 's/^/echo $((/; s/$/))/' | sh > {output}"
rule report:
    input: "out/sum.txt"
    output: "out/report.txt"
    resources: mem_mb=100, runtime=5
    shell: "(echo {config[title]:q}; cat {input}) > {output}"
`;

function workflow(name: string, snakefile: string): string {
  const work = join(dir, name);
  const met = join(dir, `met-${name}`);
  for (const folder of [join(work, 'scripts'), met]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(work, 'Snakefile'), snakefile);
  const config = { parts: PARTS, lines: 7, title: "it's a report", met };
  writeFileSync(join(work, 'config.yaml'), JSON.stringify(config));
  writeFileSync(join(work, 'scripts', 'count.sh'), COUNT);
  return work;
}

async function snakemake(work: string, ...more: readonly string[]) {
  const words = [
    ...['--jobs', '30', '--nocolor', '--latency-wait', '2'],
    ...['--cluster', `${GRID} submit --snakemake`],
    ...['--cluster-status', `${GRID} status --snakemake`],
    ...['--cluster-cancel', CANCEL],
  ];
  const env = { ...process.env, HANSE_HOME: grid.layout.user, HOME: dir };
  return runGridWith(['snakemake', ...words, ...more], { cwd: work, env });
}

test('a workflow of 30 rules runs on three sites, in no shared directory', async () => {
  const work = workflow('study', SNAKEFILE);
  const { code, stderr } = await snakemake(work);
  expect({ code, stderr: stderr.slice(-2_000) }).toMatchObject({ code: 0 });
  expect(stderr).toMatch(/31 of 31 steps \(100%\) done/);

  const textOf = (path: string): string => readFileSync(join(work, path), 'utf8');
  expect(textOf('out/report.txt')).toBe(`it's a report\n${7 * PARTS.length}\n`);
  const wheres = PARTS.map((part) => textOf(`out/${part}.where`).trim().split('\n'));
  expect(new Set(wheres.map(([, site]) => site)).size).toBe(3);
  expect(wheres.filter(([pwd]) => pwd === work)).toEqual([]);
  expect(readdirSync(join(work, 'logs'))).toHaveLength(PARTS.length);
  const jobs = JSON.parse((await grid.grid(['ls', '--json', '--limit', '100'])).stdout);
  expect(jobs.filter(({ state }: { state: string }) => state === 'done')).toHaveLength(30);
});

test('a rule that fails is said to fail, with what it wrote', async () => {
  const work = workflow(
    'bad',
    'rule bad:\n    output: "x"\n    shell: "echo so sorry >&2; exit 3"\n',
  );
  const { code, stderr } = await snakemake(work);
  expect(code).not.toBe(0);
  expect(stderr).toContain('so sorry');
  expect(stderr).toMatch(/Error in rule bad/);
});

test('Ctrl-C cancels what runs', async () => {
  const work = workflow('long', 'rule long:\n    output: "x"\n    shell: "sleep 600"\n');
  const words = `exec snakemake --jobs 1 --nocolor --cluster '${GRID} submit --snakemake' --cluster-status '${GRID} status --snakemake' --cluster-cancel '${CANCEL}'`;
  const env = { ...process.env, HANSE_HOME: grid.layout.user, HOME: dir };
  const running = run('sh', ['-c', words], { cwd: work, env });
  const ended = running.catch((error) => error);
  let said = '';
  running.child.stderr?.on('data', (text: string) => {
    said += text;
  });
  // It cancels what it has been told the number of.
  await expect.poll(() => said).toContain('external jobid');
  await expect.poll(() => stateOf('long.0')).toBe('running');
  running.child.kill('SIGINT');
  await ended;
  await expect.poll(() => stateOf('long.0')).toBe('cancelled');
});

test('what snakemake cancels is cancelled, though it waits for two seconds only', async () => {
  const { stdout } = await grid.grid(['submit', '--name', 'late', '--json', '--', 'sleep', '600']);
  const [submitted] = JSON.parse(stdout) as { id: string }[];
  const env = { ...process.env, HANSE_HOME: grid.layout.user };
  const cancel = spawn(CANCEL, [submitted?.id ?? ''], { env, stdio: 'ignore' });
  const children = `/proc/${cancel.pid}/task/${cancel.pid}/children`;
  await expect.poll(() => readFileSync(children, 'utf8')).not.toBe('');
  cancel.kill('SIGKILL');
  await expect.poll(() => stateOf('late')).toBe('cancelled');
});

async function stateOf(name: string): Promise<string | undefined> {
  const { stdout } = await grid.grid(['ls', '--json', '--name', name]);
  return (JSON.parse(stdout) as { state: string }[])[0]?.state;
}
