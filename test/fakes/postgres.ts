import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import type { PostgresPlace } from '../../service/database/postgres.ts';
import { freePort } from '../../service/nats/nats-config.ts';
import { needsPostgres } from '../setup/needs.ts';

/** A PostgreSQL server of our own, on loopback with passwords; not as root, which it refuses. */
export interface Postgres extends AsyncDisposable {
  /** A database that nobody has used yet. */
  database(): Promise<PostgresPlace>;
  /** Runs a statement as the owner. */
  run(place: PostgresPlace, statement: string): Promise<void>;
  /** Ends it as a power failure would, and starts it again. */
  crash(): Promise<void>;
}

const PASSWORD = 'a pass/word?';

export async function startPostgres(): Promise<Postgres> {
  const bin = needsPostgres();
  const account = process.getuid?.() === 0 ? accountOf('postgres') : undefined;
  const dir = mkdtempSync(join(tmpdir(), 'hanse-postgres-'));
  const passwordFile = join(dir, 'password');
  writeFileSync(passwordFile, PASSWORD);
  for (const path of [dir, passwordFile])
    if (account !== undefined) chownSync(path, account.uid, account.gid);
  const data = join(dir, 'data');
  const init = ['-D', data, '-U', 'hanse', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'];
  const options = { ...account, cwd: dir, stdio: 'ignore' as const };
  execFileSync(
    join(bin, 'initdb'),
    [...init, '--auth=scram-sha-256', `--pwfile=${passwordFile}`],
    options,
  );
  const port = await freePort('127.0.0.1');
  const place = (name: string): PostgresPlace => ({
    url: `postgres://hanse@127.0.0.1:${port}/${name}`,
    password: PASSWORD,
  });
  const start = async (): Promise<ChildProcess> => {
    const settings = ['-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=${dir}`];
    const args = ['-D', data, '-p', String(port), ...settings];
    const child = spawn(join(bin, 'postgres'), args, options);
    const deadline = performance.now() + 60_000;
    while (!(await answers(place('postgres')))) {
      if (child.exitCode !== null || performance.now() > deadline)
        throw new Error('postgres does not start');
    }
    return child;
  };
  const stop = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };
  let server = await start();
  let databases = 0;
  const run = async (at: PostgresPlace, statement: string): Promise<void> => {
    const client = await connect(at);
    try {
      await client.query(statement);
    } finally {
      await client.end();
    }
  };
  return {
    run,
    database: async () => {
      databases += 1;
      await run(place('postgres'), `create database ledger${databases}`);
      return place(`ledger${databases}`);
    },
    crash: async () => {
      await stop(server, 'SIGQUIT');
      server = await start();
    },
    [Symbol.asyncDispose]: async () => {
      await stop(server, 'SIGINT');
      rmSync(dir, { recursive: true });
    },
  };
}

function accountOf(name: string): { readonly uid: number; readonly gid: number } {
  const number = (flag: string): number => Number(execFileSync('id', [flag, name]).toString());
  return { uid: number('-u'), gid: number('-g') };
}

async function connect({ url, password }: PostgresPlace): Promise<Client> {
  const { hostname: host, port, username: user, pathname } = new URL(url);
  const client = new Client({
    host,
    port: Number(port),
    user,
    password,
    database: pathname.slice(1),
  });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function answers(place: PostgresPlace): Promise<boolean> {
  try {
    const client = await connect(place);
    await client.end();
    return true;
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 50));
    return false;
  }
}
