import { existsSync, statSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { State } from '../../proto/gen/grid/v1/common.ts';
import { pause } from '../../service/background.ts';
import { fetchTree } from '../../service/staging/fetch-tree.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { startTestNats, type TestNats, testNatsBinary } from '../fakes/nats.ts';
import { resourcesOf } from '../fakes/offers.ts';
import { EPOCH, startTestSite, type TestSite } from '../fakes/test-site.ts';
import { needs } from '../setup/needs.ts';

const EXAMPLE = resolve(import.meta.dirname, '../../examples/mpi-pi');
const SOON = { timeout: 120_000, interval: 100 };
const GANG = resourcesOf({ nodes: 2, cpus: 2, memoryBytes: 2 ** 28, walltimeMs: 60_000 });

/** A batch system with two nodes of two CPUs. */
export interface GangSystem extends AsyncDisposable {
  /** Lines of the gateway's configuration. */
  readonly settings: readonly string[];
  /** Names of its nodes, in order. */
  readonly nodes: readonly string[];
  /** Shell text that gives the name of the node it runs on. */
  readonly where: string;
  /** Words that start a command once on each node. */
  readonly launchers: readonly string[];
  /** What Open MPI must know about this make-believe network. */
  readonly env: Readonly<Record<string, string>>;
}

const envOf = ({ env }: GangSystem): Readonly<Record<string, string>> => ({
  OMPI_ALLOW_RUN_AS_ROOT: '1',
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
  ...env,
});

/** What a gang comes to at a site on a real batch system. */
export function gangContract(systemName: string, start: () => Promise<GangSystem>): void {
  describe(`a gang on a ${systemName} site`, () => {
    let cluster: GangSystem;
    let grid: LiveGrid;
    let nats: TestNats;
    let site: TestSite;
    let scratch: string;
    beforeAll(async () => {
      needs('mpicc', 'openmpi-bin', 'libopenmpi-dev', 'gcc', 'libc6-dev');
      cluster = await start();
      grid = await openLiveGrid();
      nats = await startTestNats({ binary: await testNatsBinary(), vos: ['demo'] });
      await writeFile(join(grid.trustDir, 'nats.pem'), nats.caPem);
      site = await startTestSite(grid, 'cluster', cluster.settings);
      await site.giveTicket(nats.accounts, 'demo');
      scratch = await mkdtemp(join(tmpdir(), 'hanse-gang-'));
    });
    afterAll(async () => {
      await site[Symbol.asyncDispose]();
      await nats[Symbol.asyncDispose]();
      await grid[Symbol.asyncDispose]();
      await cluster[Symbol.asyncDispose]();
      await rm(scratch, { recursive: true });
    });

    /** What a task of the gang says and uses; its inputs are those of the example. */
    async function run(id: string, command: string) {
      await using member = nats.open('demo');
      const inputs = (await sendTree(member, { root: EXAMPLE, paths: ['pi.c'] })).tree;
      const spec = {
        command: ['sh', '-c', command],
        env: envOf(cluster),
        inputs: [{ from: '.', to: '.' }],
        resources: GANG,
      };
      expect(await site.place([{ id, spec, inputs }])).toMatchObject([{ reason: '' }]);
      const outcome = await site.outcomeOf(id);
      const target = join(scratch, id);
      await fetchTree(member, outcome.outputs, target);
      const stderr = await readFile(join(target, '.grid/stderr'), 'utf8');
      expect([outcome.reason, stderr]).toEqual(['', '']);
      const stdout = await readFile(join(target, '.grid/stdout'), 'utf8');
      return { said: stdout.trim().split('\n'), usage: outcome.usage };
    }

    test('mpirun runs over all nodes of the gang, a process on each core', async () => {
      const where = `mpirun sh -c 'echo "${cluster.where}"; exec ./pi'`;
      const { said } = await run('pi', `mpicc -O2 -o pi pi.c && ${where}`);
      expect(said.toSorted()).toEqual([
        '4 processes: pi is 3.1415926536',
        ...cluster.nodes.flatMap((node) => [node, node]),
      ]);
    });

    test('a gang finds its nodes in the host file, each once for each core', async () => {
      const { said } = await run('hosts', `echo $GRID_NODES $GRID_CPUS; cat "$GRID_HOSTFILE"`);
      const [numbers, ...hosts] = said;
      expect(numbers).toBe('2 2');
      // The node of the program first, each node's cores beside each other.
      expect(new Set([hosts[0], hosts[2]])).toEqual(new Set(cluster.nodes));
      expect([hosts[1], hosts[3]]).toEqual([hosts[0], hosts[2]]);
      expect(hosts).toHaveLength(4);
    });

    test('what a gang uses on all of its nodes is known, whatever starts it there', async () => {
      // A second of CPU time each, and an eighth of a GiB on the second node for a while.
      await writeFile(
        join(scratch, 'burn.pl'),
        `my $rank = $ENV{OMPI_COMM_WORLD_RANK} // $ENV{SLURM_PROCID}; my $n = $rank == 1 ? 1 << 27 : 1; my $x = "x" x $n;
        my @used; do { @used = times } while $used[0] + $used[1] < 1; sleep 1; print "burnt\n"`,
      );
      for (const [at, launcher] of cluster.launchers.entries()) {
        const { said, usage } = await run(`burn-${at}`, `${launcher} perl ${scratch}/burn.pl`);
        expect(said).toEqual(['burnt', 'burnt']);
        // What starts them needs some, too, and more on a busy machine; one of them counted twice were a second.
        expect(usage.cpuMs).toBeGreaterThanOrEqual(2_000);
        expect(usage.cpuMs).toBeLessThan(2_950);
        expect(usage.peakMemoryBytes).toBeGreaterThan(2 ** 27);
        expect(usage.peakMemoryBytes).toBeLessThan(2 ** 28);
      }
    });

    test('a gang that is deaf to TERM is killed on all of its nodes', async () => {
      const beats = cluster.nodes.map((node) => join(scratch, `beat.${node}`));
      const beat = `trap "" TERM; while :; do date >${scratch}/beat.${cluster.where}; sleep 0.1; done`;
      const spec = {
        command: ['sh', '-c', `trap '' TERM; ${cluster.launchers.at(-1)} sh -c '${beat}'`],
        env: envOf(cluster),
        resources: GANG,
      };
      expect(await site.place([{ id: 'deaf', spec }])).toMatchObject([{ reason: '' }]);
      await expect.poll(() => beats.every((file) => existsSync(file)), SOON).toBe(true);
      await site.call().control({ epoch: EPOCH, cancel: ['deaf'], acknowledgedSeq: 0 });
      const askedAtMs = Date.now();
      expect(await site.outcomeOf('deaf')).toMatchObject({ state: State.STATE_CANCELLED });
      const lastMs = (): number => Math.max(...beats.map((file) => statSync(file).mtimeMs));
      const stands = async (): Promise<boolean> => {
        const before = lastMs();
        await pause(1_000);
        return lastMs() === before;
      };
      await expect.poll(stands, SOON).toBe(true);
      // Three seconds of grace; batch systems kill by themselves after half a minute or a minute.
      expect(lastMs() - askedAtMs).toBeLessThan(20_000);
    });

    test('a gang of more nodes than the site has is refused', async () => {
      const spec = { command: ['true'], resources: { ...GANG, nodes: 3 } };
      expect(await site.place([{ id: 'wide', spec }])).toMatchObject([
        { reason: 'TOO_LARGE', detail: 'it asks for 3 nodes, the site has 2' },
      ]);
    });
  });
}
