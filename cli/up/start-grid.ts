import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { GridError } from '../../core/errors.ts';
import { ensureDirectory } from '../../service/directories.ts';
import { type NatsServerFiles, writeNatsServer } from '../../service/nats/nats-config.ts';
import { writeLeafServer } from '../../service/nats/nats-leaf.ts';
import { startNatsServer } from '../../service/nats/nats-process.ts';
import { findNatsServer, type NatsServerBinary } from '../../service/nats/nats-server.ts';
import type { Env } from '../config.ts';
import { allEnded } from './all-ended.ts';
import { brokerConfig, identityOf, siteConfig } from './configs.ts';
import { writeSettings } from './keep-settings.ts';
import { type GridPlan, type Layout, readRunning } from './layout.ts';
import {
  gridProgram,
  isAlive,
  namesBelow,
  type Program,
  saysReady,
  startProgram,
  stopPid,
} from './process.ts';
import { RunningRecord } from './running-record.ts';

const YEAR_MS = 365 * 86_400_000;

/** How a grid is started. */
export interface StartOptions {
  readonly layout: Layout;
  readonly plan: GridPlan;
  readonly env: Env;
  /** The processes outlive this one. */
  readonly detached: boolean;
  readonly signal: AbortSignal;
  readonly binary: NatsServerBinary;
}

/** Programs of a grid in the order in which they were started. */
export class GridProcesses {
  private readonly programs: Program[] = [];
  private readonly options: StartOptions;
  private readonly record: RunningRecord;

  constructor(options: StartOptions) {
    this.options = options;
    const attachedTo = options.detached ? undefined : process.pid;
    this.record = new RunningRecord(options.layout.running, attachedTo);
  }

  get all(): readonly Program[] {
    return this.programs;
  }

  /** Starts nats-server, or all servers of a cluster at a time, for they wait for each other. */
  async startNats(): Promise<void> {
    const { layout, plan, binary } = this.options;
    const alone = { name: 'nats-server', dir: layout.nats, port: plan.ports.nats };
    const servers =
      plan.natsCluster?.map((server) => ({
        name: `nats-${server.name}`,
        dir: layout.natsServer(server.name),
        port: server.port,
        leafListen: `127.0.0.1:${server.leafPort}`,
        cluster: {
          name: server.name,
          listen: `127.0.0.1:${server.routePort}`,
          peers: plan.natsCluster?.map(({ routePort }) => `localhost:${routePort}`) ?? [],
          caFile: join(layout.authority, 'ca.pem'),
          version: binary.version,
        },
      })) ?? [];
    const { certificate: certFile, key: keyFile } = identityOf(layout.nats);
    const written: (NatsServerFiles & { readonly name: string })[] = [];
    // One after the other: the first makes the keys of all.
    for (const { name, ...server } of servers.length === 0 ? [alone] : servers) {
      const how = { ...server, keysDir: layout.nats, host: '127.0.0.1', certFile, keyFile };
      written.push({ name, ...(await writeNatsServer(how)) });
    }
    await allEnded(written.map((files) => this.startNatsServer(files)));
  }

  /** Starts the leaf node of the first site, where there is a cluster; the broker has made the keys of its VOs by then. */
  async startLeaf(): Promise<void> {
    const { layout, plan } = this.options;
    const { leafPort: port, sites } = plan;
    const [site] = sites;
    if (port === undefined || site === undefined) return;
    const { writeLeaf } = await import('../../broker/main.ts');
    const dir = layout.natsServer('leaf');
    await writeLeaf(join(layout.broker, 'broker.yaml'), { dir, vos: [], lifetimeMs: YEAR_MS });
    const { certificate: certFile, key: keyFile } = identityOf(layout.site(site.name));
    const caFile = join(layout.authority, 'ca.pem');
    const how = { dir, host: '127.0.0.1', port, certFile, keyFile, caFile };
    const { configFile } = await writeLeafServer(how);
    await this.startNatsServer({ name: 'nats-leaf', configFile, port });
  }

  private async startNatsServer(
    files: Pick<NatsServerFiles, 'configFile' | 'port'> & { readonly name: string },
  ): Promise<void> {
    const { layout, binary, env, signal } = this.options;
    const { name, configFile, port } = files;
    const server = await startNatsServer({
      binary: binary.path,
      configFile,
      logFile: join(layout.logs, `${name}.log`),
      host: 'localhost',
      port,
      caPem: authorityPem(layout),
      env,
      // A process group of its own: Ctrl-C reaches it through us, after those that need it have stopped.
      detached: true,
      signal,
    });
    const ended = server.exited.then(() => 'ended');
    await this.add({ name, pid: server.pid, ended });
  }

  /** Those without which the grid does not go on: of a cluster of nats-servers one may end. */
  get needed(): readonly Program[] {
    const cluster = this.options.plan.natsCluster?.map(({ name }) => `nats-${name}`) ?? [];
    const spare = new Set([...cluster, 'nats-leaf']);
    return this.programs.filter(({ name }) => !spare.has(name));
  }

  /** Starts a service of ours with its configuration file. */
  async startService(name: string, words: readonly string[], configFile: string): Promise<void> {
    const { layout, detached, signal } = this.options;
    const program = await startProgram(
      {
        name,
        command: [process.execPath, gridProgram(), ...words, 'serve', '--config', configFile],
        logStem: join(layout.logs, name),
        env: this.options.env,
        isReady: saysReady,
        endsWithParent: !detached,
      },
      signal,
    );
    await this.add(program);
  }

  async startAuthority(): Promise<void> {
    const { layout } = this.options;
    await this.startService('authority', ['authority'], join(layout.authority, 'authority.yaml'));
  }

  async startBroker(): Promise<void> {
    const { layout, plan } = this.options;
    const file = join(layout.broker, 'broker.yaml');
    await writeSettings(file, brokerConfig(layout, plan));
    await this.startService('broker', ['broker'], file);
  }

  async startSite(name: string): Promise<void> {
    const { layout, plan } = this.options;
    const site = plan.sites.find((candidate) => candidate.name === name);
    if (site === undefined) throw new GridError('SITE_NOT_FOUND', `the grid has no site '${name}'`);
    const file = join(layout.site(name), 'site.yaml');
    await writeSettings(file, siteConfig(layout, plan, site));
    await this.startService(`site-${name}`, ['site'], file);
  }

  /** Ends all programs, the last one started first. */
  async stop(): Promise<void> {
    for (const program of this.programs.toReversed()) await stopPid(program.pid);
    this.record.remove();
  }

  private async add(program: Program): Promise<void> {
    this.programs.push(program);
    await this.record.add(program.name, program.pid);
  }
}

/** PEM of the authority that the grid trusts. */
const authorityPem = (layout: Layout): string =>
  readFileSync(join(layout.authority, 'ca.pem'), 'utf8');

/** Ends what `running.json` names; programs that are gone already are passed over. Gives their names. */
export async function stopRecorded(layout: Layout): Promise<readonly string[]> {
  const running = readRunning(layout);
  const alive = (running?.programs ?? []).filter(
    ({ pid }) => isAlive(pid) && namesBelow(pid, layout.dir),
  );
  for (const { pid } of alive.toReversed()) await stopPid(pid);
  rmSync(layout.running, { force: true });
  return alive.map(({ name }) => name);
}

/** Lets the nats-servers that run read their configuration and certificate again; connections stay. */
export function reloadNats(layout: Layout): void {
  for (const { name, pid } of readRunning(layout)?.programs ?? [])
    if (name.startsWith('nats-') && isAlive(pid) && namesBelow(pid, layout.dir))
      process.kill(pid, 'SIGHUP');
}

/** Whether any program that `running.json` names still runs. */
export const isRunning = (layout: Layout): boolean => programsOf(layout, true).length > 0;

/** Names of the programs in `running.json` that run, or of those that run no more. */
export const programsOf = (layout: Layout, running: boolean): readonly string[] =>
  (readRunning(layout)?.programs ?? [])
    .filter(({ pid }) => (isAlive(pid) && namesBelow(pid, layout.dir)) === running)
    .map(({ name }) => name);

/** nats-server for this user; `onProgress` gets a sentence while one has to be built. */
export function obtainNatsServer(
  env: Env,
  userHome: string,
  signal: AbortSignal,
  onProgress: (text: string) => void,
): Promise<NatsServerBinary> {
  const cacheDir = join(env['XDG_CACHE_HOME'] ?? join(userHome, '.cache'), 'hanse');
  ensureDirectory(cacheDir);
  return findNatsServer({ cacheDir, env, signal, onProgress });
}
