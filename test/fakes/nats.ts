import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { openStagingAccounts, type StagingAccounts } from '../../broker/data/staging-accounts.ts';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { freePort, type NatsServerFiles, writeNatsServer } from '../../service/nats/nats-config.ts';
import { type NatsProcess, startNatsServer } from '../../service/nats/nats-process.ts';
import type { ChunkStore } from '../../service/staging/chunk-store.ts';
import { newNkey, openStaging } from '../../service/staging/connect-staging.ts';
import { inboxPrefix } from '../../service/staging/names.ts';
import { connectNats } from '../../service/staging/nats-connect.ts';
import { writeTlsIdentity } from './tls-identity.ts';

export { findCurrent, natsServers, testNatsBinary } from '../setup/nats-programs.ts';

/** A real nats-server with the accounts of VOs, in a directory of its own. */
export interface TestNats extends TestClients, AsyncDisposable {
  readonly dir: string;
  /** With which `files` were written. */
  readonly settings: Parameters<typeof writeNatsServer>[0];
  readonly files: NatsServerFiles;
  readonly caPem: string;
  readonly accounts: StagingAccounts;
  /** Ends the server as a crash does. */
  crash(): Promise<void>;
  /** Ends it in good order: it writes what it knows of its files. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Another broker takes the place of the first one, with other limits. */
  reopen(limits: Limits): Promise<StagingAccounts>;
}

/** Those who use it. */
export interface TestClients {
  /** A member's view of the chunks of a VO, as patient as a command line is. */
  open(
    vo: string,
    options?: { lifetimeMs?: number; patienceMs?: number },
  ): ChunkStore & AsyncDisposable;
  /** Somebody with a ticket for a VO who speaks NATS by hand. */
  member(vo: string, lifetimeMs?: number, purpose?: 'user' | 'gateway'): Promise<NatsConnection>;
}

/** Of each VO. */
interface Limits {
  readonly bytesPerVo?: number;
  readonly chunksPerVo?: number;
}

export interface TestNatsOptions extends Limits {
  readonly binary: string;
  readonly vos: readonly string[];
  /** Where its directory is made; that of the system for temporary files by default. */
  readonly within?: string;
  /** Most bytes that it keeps at all. */
  readonly storeBytes?: number;
  /** Further lines of its configuration, in place of those that are there. */
  readonly config?: string;
}

export async function startTestNats(options: TestNatsOptions): Promise<TestNats> {
  const dir = await mkdtemp(join(options.within ?? tmpdir(), 'hanse-nats-'));
  const { certFile, keyFile, caPem } = await writeTlsIdentity(dir);
  const host = '127.0.0.1';
  const settings = { dir: join(dir, 'nats'), host, port: await freePort(host), certFile, keyFile };
  const { storeBytes } = options;
  const files = await writeNatsServer({
    ...settings,
    ...(storeBytes === undefined ? {} : { storeBytes }),
  });
  if (options.config !== undefined) await appendFile(files.configFile, `${options.config}\n`);
  let server: NatsProcess;
  const start = async (): Promise<void> => {
    server = await startNatsServer({
      binary: options.binary,
      configFile: files.configFile,
      logFile: join(dir, 'nats.log'),
      host,
      port: files.port,
      caPem,
      env: process.env,
    });
  };
  await start();
  const openAccounts = async (limits: Limits): Promise<StagingAccounts> => {
    const opened = await openStagingAccounts({
      servers: [files.url],
      operatorDir: files.brokerDir,
      stateDir: join(dir, 'broker'),
      caPem,
      vos: options.vos,
      ...(limits.bytesPerVo === undefined ? {} : { bytesPerVo: limits.bytesPerVo }),
      ...(limits.chunksPerVo === undefined ? {} : { chunksPerVo: limits.chunksPerVo }),
      clock: systemClock,
      log: openLog('test', 'silent'),
    });
    await opened.settled();
    return opened;
  };
  const accounts = await openAccounts(options);
  return {
    dir,
    settings,
    files,
    caPem,
    accounts,
    start,
    crash: () => server.kill(),
    stop: () => server.stop(),
    reopen: async (limits) => {
      await accounts[Symbol.asyncDispose]();
      return openAccounts(limits);
    },
    ...clientsOf(accounts, caPem),
    [Symbol.asyncDispose]: async () => {
      await accounts[Symbol.asyncDispose]();
      await server.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

export function clientsOf(
  accounts: Pick<StagingAccounts, 'issueTicket'>,
  caPem: string,
): TestClients {
  return {
    open: (vo, { lifetimeMs = 600_000, patienceMs = 60_000 } = {}) => {
      const nkey = newNkey();
      return openStaging({
        nkey,
        ticket: () =>
          accounts.issueTicket({ vo, nkey: nkey.publicKey, lifetimeMs, purpose: 'user' }),
        caPem,
        vo,
        patienceMs,
      });
    },
    member: async (vo, lifetimeMs = 600_000, purpose = 'user') => {
      const { publicKey, seed } = newNkey();
      const ticket = { vo, nkey: publicKey, lifetimeMs, purpose };
      const { servers, userJwt } = await accounts.issueTicket(ticket);
      return connectNats({
        servers,
        authenticator: jwtAuthenticator(userJwt, seed),
        inboxPrefix: inboxPrefix(publicKey),
        caPem,
      });
    },
  };
}
