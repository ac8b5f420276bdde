import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { identityOf } from '../../cli/up/configs.ts';
import type { LocalGrid } from '../support/local-grid.ts';

/** What the process of the gateways is started with. */
export interface Setup {
  readonly trust: string;
  readonly sites: readonly {
    readonly name: string;
    readonly port: number;
    readonly certificate: string;
    readonly key: string;
  }[];
}

/** What the gateways offer from now on, each of them; nothing at the beginning. */
export interface Order {
  readonly cpus: number;
  /** Whether attempts end well as soon as they are accepted. */
  readonly finish: boolean;
}

/** What they have accepted so far. */
export interface Count {
  readonly placed: number;
  /** Jobs among them, where it was asked for. */
  readonly distinct?: number;
}

/** Gateways of real gRPC that run nothing, in a process of their own, in place of the sites of a grid. */
export interface SimulatedSites extends AsyncDisposable {
  offer(order: Order): void;
  /** Resolves as soon as so many attempts have arrived. */
  until(placed: number): Promise<void>;
  /** Different jobs that have arrived. */
  distinct(): Promise<number>;
}

/** Ends the gateways of the grid and puts simulated ones in their places. */
export async function simulateSites(grid: LocalGrid): Promise<SimulatedSites> {
  for (const { name } of grid.plan.sites) await grid.crash(`site-${name}`);
  const setup: Setup = {
    trust: grid.layout.trust,
    sites: grid.plan.sites.map(({ name, port }) => ({
      name,
      port,
      ...identityOf(grid.layout.site(name)),
    })),
  };
  const program = join(import.meta.dirname, 'simulated-sites-process.ts');
  const child = fork(program, [JSON.stringify(setup)]);
  await nextCount(child, () => true);
  return {
    offer: (order) => void child.send(order),
    until: async (placed) => void (await nextCount(child, (count) => count.placed >= placed)),
    distinct: async () => {
      const answer = nextCount(child, (count) => count.distinct !== undefined);
      child.kill('SIGUSR2');
      return (await answer).distinct ?? 0;
    },
    [Symbol.asyncDispose]: async () => {
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
    },
  };
}

function nextCount(child: ChildProcess, wanted: (count: Count) => boolean): Promise<Count> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error('the simulated sites have ended'));
    const heard = (message: unknown): void => {
      const count = message as Count;
      if (!wanted(count)) return;
      child.off('message', heard);
      child.off('exit', ended);
      resolve(count);
    };
    child.on('message', heard);
    child.once('exit', ended);
  });
}
