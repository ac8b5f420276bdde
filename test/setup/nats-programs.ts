import { mkdir, symlink } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { findNatsServer, type NatsServerBinary } from '../../service/nats/nats-server.ts';

/**
 * Has the programs made before the first test: each of four files that begin on a new machine would build one, all of them for longer
 * than a build may last, and whoever asks apt keeps others out. Without them each test says what it misses.
 */
export default async function makePrograms(): Promise<void> {
  await natsServers().catch(() => undefined);
}

/** Where the program is that `grid up` would use on this machine. */
export const testNatsBinary = async (): Promise<string> => (await findCurrent()).path;

/** The program that `grid up` would use on this machine. */
export function findCurrent(): Promise<NatsServerBinary> {
  const cacheDir = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'hanse');
  return findNatsServer({ cacheDir, env: process.env });
}

/** A nats-server to test with. */
interface NamedServer extends Pick<NatsServerBinary, 'path' | 'version'> {
  readonly name: string;
}

/** The current nats-server, and Debian's (unpacked by our own code) where there is a Debian to ask. */
export async function natsServers(): Promise<readonly NamedServer[]> {
  const current = { name: 'the current nats-server', ...(await findCurrent()) };
  const cacheDir = join(tmpdir(), 'hanse-test-nats');
  // With nothing else on PATH, neither a newer nats-server nor go is found.
  const bin = join(cacheDir, 'bin');
  await mkdir(bin, { recursive: true });
  const tools = ['apt-get', 'dpkg', 'dpkg-deb', 'tar', 'rm'];
  await Promise.all(
    tools.map((tool) => symlink(`/usr/bin/${tool}`, join(bin, tool)).catch(() => undefined)),
  );
  const debian = await findNatsServer({ cacheDir, env: { PATH: bin } }).catch(() => undefined);
  return debian === undefined ? [current] : [current, { name: "Debian's nats-server", ...debian }];
}
