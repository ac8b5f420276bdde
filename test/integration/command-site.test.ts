import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { State } from '../../proto/gen/grid/v1/common.ts';
import { shippedTemplate } from '../../site-gateway/lrms/command/load-template.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { EPOCH, startTestSite, type TestSite } from '../fakes/test-site.ts';
import { type SlurmCluster, startSlurm } from '../support/slurm-cluster.ts';

/** A gateway whose batch system is Slurm, by a template of the site's own and commands that may be told to stumble. */
let cluster: SlurmCluster;
let grid: LiveGrid;
let site: TestSite;
let dir: string;
let bin: string;
beforeAll(async () => {
  cluster = await startSlurm({ nodes: 1, cpus: 2, memoryMb: 1_000 });
  grid = await openLiveGrid();
  dir = mkdtempSync(join(tmpdir(), 'hanse-command-site-'));
  bin = join(dir, 'bin');
  mkdirSync(bin);
  for (const command of ['sbatch', 'squeue']) {
    writeFileSync(join(bin, command), stumbling(command));
    chmodSync(join(bin, command), 0o755);
    stumble(command, 'not');
  }
  const template = readFileSync(shippedTemplate('slurm'), 'utf8');
  const own = template
    .replace('poll:\n', 'poll:\n  timeout: 5s\n')
    .replace("'^(?<id>", "timeout: 5s\n  job: '^(?<id>")
    .replace('  job: timeout', '  timeout');
  writeFileSync(join(dir, 'own-slurm.yaml'), own);
  site = await startTestSite(grid, 'cluster', settings(join(dir, 'own-slurm.yaml')));
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, maxRetries: 5 });
});

const settings = (template: string): readonly string[] => [
  'lrms: command',
  'command:',
  `  template-file: ${template}`,
  `  bin: ${bin}`,
  `  env: {SLURM_CONF: ${cluster.conf}}`,
  '  queues:',
  '    - {name: main, nodes: 1, cpus: 2, memory: 1000M, max-walltime: 1h}',
];

/** The real command, which may be told to stumble. */
const stumbling = (command: string): string => `#!/bin/sh
read -r how <'${join(bin, command)}.how'
export PATH='${process.env['PATH']}'
case $how in
  hang) exec sleep 60 ;;
  garbage) echo '<h1>502 Bad Gateway</h1>' ;;
  german) echo 'Es laufen keine Auftr\u00e4ge.' ;;
  fail) echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1 ;;
  *) exec ${command} "$@" ;;
esac
`;
type Stumble = 'not' | 'hang' | 'garbage' | 'german' | 'fail';
const stumble = (command: string, how: Stumble): void =>
  writeFileSync(join(bin, `${command}.how`), `${how}\n`);

/** The offer, once it is as it should be. */
const untilOffer = async (
  isIt: (offer: { closedReason: string }) => boolean,
): Promise<{ closedReason: string; lrms: string; totalCpus: number }> => {
  const stop = new AbortController();
  const stream = site.call().advertise({ epoch: EPOCH, leaseMs: 60_000 }, { signal: stop.signal });
  for await (const { offer } of stream) {
    if (offer === undefined || !isIt(offer)) continue;
    stop.abort();
    return offer;
  }
  throw new Error('there was no such offer');
};
const isOpen = ({ closedReason }: { closedReason: string }): boolean => closedReason === '';

describe('a site with a template of its own', () => {
  test('says what it is and has', async () => {
    expect(await untilOffer(isOpen)).toMatchObject({
      lrms: 'own-slurm',
      totalCpus: 2,
      totalMemoryBytes: 1_000 * 2 ** 20,
      maxWalltimeMs: 3_600_000,
      queues: [{ name: 'main', cpusPerNode: 2, isDefault: true }],
    });
  });

  test('hands on the words of a job byte for byte, whatever they look like', async () => {
    const words = [
      '',
      "it's",
      '$(touch here)',
      'a\nb',
      '{queue}',
      '{script}',
      '%j',
      '#SBATCH -H',
      '`x`',
      'ü€',
    ];
    const file = join(site.dir, 'words');
    const script = `require('node:fs').writeFileSync(${JSON.stringify(file)}, JSON.stringify(process.argv.slice(1)))`;
    const command = [process.execPath, '-e', script, '--', ...words];
    await site.place([{ id: 'words', spec: { command } }]);
    expect(await site.outcomeOf('words')).toMatchObject({ state: State.STATE_DONE, exitCode: 0 });
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(words);
  });

  test('submits equal tasks as arrays, each of which runs once', async () => {
    const command = ['sh', '-c', `echo "$SLURM_ARRAY_JOB_ID" >>${join(dir, 'ran')}`];
    const ids = Array.from({ length: 12 }, (_, at) => `array-${at}`);
    await site.place(ids.map((id) => ({ id, spec: { command } })));
    await site.untilEnded(ids);
    const ran = readFileSync(join(dir, 'ran'), 'utf8').trim().split('\n');
    expect(ran).toHaveLength(12);
    // One array where all were accepted in time for it; a busy machine may need another.
    expect(new Set(ran).size).toBeLessThanOrEqual(6);
  });

  test.for<[Stumble, string]>([
    ['german', "squeue said what cannot be understood: 'Es laufen keine Aufträge.'"],
    ['hang', 'squeue gave no answer in 5 s'],
  ])('closes while its queue says: %s, loses nothing, and opens again', async ([how, words]) => {
    const go = join(dir, `go-${how}`);
    const command = ['sh', '-c', `until test -e ${go}; do sleep 0.1; done; exit 3`];
    await site.place([{ id: `during-${how}`, spec: { command } }]);
    await untilRuns(`during-${how}`);
    stumble('squeue', how);
    const { closedReason } = await untilOffer((offer) => offer.closedReason.includes(words));
    expect(closedReason).toMatch(/^Slurm does not answer since \d{4}-\d\d-\d\dT/);
    stumble('squeue', 'not');
    await untilOffer(isOpen);
    writeFileSync(go, '');
    expect(await site.outcomeOf(`during-${how}`)).toMatchObject({
      exitCode: 3,
      reason: 'EXIT_NONZERO',
    });
  });

  test.for<[Stumble, string]>([
    ['hang', 'sbatch gave no answer in 5 s'],
    ['garbage', 'sbatch said what cannot be understood'],
    ['fail', 'Unable to contact slurm controller'],
  ])('keeps a task whose submission says: %s, and submits it later', async ([how, words]) => {
    const file = join(dir, `sent-${how}`);
    stumble('sbatch', how);
    await site.place([
      { id: `sent-${how}`, spec: { command: ['sh', '-c', `echo ran >>${file}`] } },
    ]);
    await untilOffer(({ closedReason }) => closedReason.includes(words));
    stumble('sbatch', 'not');
    expect(await site.outcomeOf(`sent-${how}`)).toMatchObject({ state: State.STATE_DONE });
    expect(readFileSync(file, 'utf8')).toBe('ran\n');
  });
});

const untilRuns = async (id: string): Promise<void> => {
  const stop = new AbortController();
  const updates = site.call().watch({ epoch: EPOCH, afterSeq: 0 }, { signal: stop.signal });
  for await (const { attemptId, state } of updates)
    if (attemptId === id && state === State.STATE_RUNNING) return stop.abort();
  throw new Error(`${id} never ran`);
};

describe('a gateway that cannot do with what it was told', () => {
  test.for<[string, readonly string[], RegExp]>([
    [
      'bad-template',
      ['cpus: 2', 'memory: 1G', `command: {template-file: bad.yaml}`],
      /bad\.yaml:1 submit: is missing\n.*bad\.yaml:2 poll\.line: Invalid regular expression/s,
    ],
    [
      'no-template',
      ['cpus: 2', 'memory: 1G'],
      /command: name a `template` of the package, or a `template-file`/,
    ],
    [
      'unknown-template',
      ['cpus: 2', 'memory: 1G', 'command: {template: loadleveler}'],
      /command\.template: must be one of lsf, pbs/,
    ],
    [
      'no-size',
      ['command: {template: pbs}'],
      /cpus, memory: with lrms: command say how much the grid may fill/,
    ],
    [
      'my, spool',
      ['cpus: 2', 'memory: 1G', 'command: {template: pbs}'],
      /spool: '\S+\/my, spool' goes through commands/,
    ],
  ])('ends and says why: %s', ([spool, lines, message]) => {
    const config = join(dir, 'bad-site.yaml');
    writeFileSync(join(dir, 'bad.yaml'), 'name: 7\npoll: {run: [x], line: "("}\n');
    const kept = readFileSync(join(site.dir, 'site.yaml'), 'utf8').split('lrms: command')[0] ?? '';
    const base = kept
      .replace(/^spool.*$/m, `spool: "${join(dir, spool)}"`)
      .replaceAll(/^(certificate|key): /gm, `$1: ${site.dir}/`);
    writeFileSync(config, `${base}lrms: command\n${lines.join('\n')}\n`);
    const { status, stderr } = spawnSync(
      process.execPath,
      [resolve('cli/main.ts'), 'site', 'serve', '--config', config],
      { encoding: 'utf8', timeout: 120_000 },
    );
    expect(stderr).toContain('CONFIG_INVALID');
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  });
});
