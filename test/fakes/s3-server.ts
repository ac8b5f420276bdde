import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../../service/nats/nats-config.ts';
import { needsGo } from '../setup/needs.ts';

/** A real S3 server, which checks signatures, over TLS. */
export interface S3Server extends AsyncDisposable {
  /** `https://127.0.0.1:port`. */
  readonly endpoint: string;
  /** Directory of buckets, which are directories of objects. */
  readonly data: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const VERSION = 'v1.8.0';

/** Versity's S3 gateway on a directory below `dir`. */
export async function startS3Server(
  dir: string,
  tls: { readonly certFile: string; readonly keyFile: string },
): Promise<S3Server> {
  const program = needsGo('versitygw', 'github.com/versity/versitygw/cmd/versitygw', VERSION);
  const data = join(dir, 's3');
  mkdirSync(data);
  const port = await freePort('127.0.0.1');
  const [accessKeyId, secretAccessKey] = ['HANSETESTKEY', 'hanse-test-secret-key'];
  const child = spawn(
    program,
    [
      ...['--quiet', '--port', `127.0.0.1:${port}`],
      ...['--access', accessKeyId, '--secret', secretAccessKey],
      ...['--cert', tls.certFile, '--key', tls.keyFile],
      ...['posix', data],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  await untilListening(port, child);
  return {
    endpoint: `https://127.0.0.1:${port}`,
    data,
    accessKeyId,
    secretAccessKey,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}

async function untilListening(port: number, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 2_400; tries += 1) {
    if (child.exitCode !== null) throw new Error('the S3 server has ended');
    const socket = connect(port, '127.0.0.1');
    const there = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (there) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the S3 server does not listen');
}
