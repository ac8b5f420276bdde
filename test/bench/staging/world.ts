import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash, randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { newNkey } from '../../../service/staging/connect-staging.ts';
import { startTestNats, type TestNats, testNatsBinary } from '../../fakes/nats.ts';
import { touchMemory } from './touch-memory.ts';
import type { Transfer, Transferred } from './transfer-process.ts';

export const run = promisify(execFile);
export const MIB = 2 ** 20;

/** A nats-server with the stream of a VO, and transfers to and from it in processes of their own. */
export interface World extends AsyncDisposable {
  readonly dir: string;
  readonly binary: string;
  readonly nats: TestNats;
  send(
    root: string,
    onProgress?: (done: Progress, child: ChildProcess) => void,
    more?: Pick<Transfer, 'knownDir'>,
  ): Promise<Transferred>;
  fetch(
    tree: Transferred['tree'],
    root: string,
    more?: Pick<Transfer, 'cache' | 'again'>,
  ): Promise<Transferred>;
}

interface Progress {
  readonly doneBytes: number;
  readonly put: number;
}

/** Files go below `BENCH_DIR`, by default the directory for temporary files. */
export async function openWorld(below = tmpdir()): Promise<World> {
  const dir = await mkdtemp(join(process.env['BENCH_DIR'] ?? below, 'hanse-bench-'));
  const binary = await testNatsBinary();
  const nats = await startTestNats({ binary, vos: ['bench'] });
  const caFile = join(dir, 'ca.pem');
  await writeFile(caFile, nats.caPem);
  const transfer = async (
    part: Pick<Transfer, 'kind' | 'root'> & Partial<Transfer>,
    onProgress?: (done: Progress, child: ChildProcess) => void,
  ): Promise<Transferred> => {
    const { publicKey, seed } = newNkey();
    const wish = { vo: 'bench', nkey: publicKey, lifetimeMs: 3_600_000, purpose: 'user' } as const;
    const ticket = await nats.accounts.issueTicket(wish);
    const seedHex = Buffer.from(seed).toString('hex');
    const access = { kind: 'store', publicKey, seed: seedHex, ticket, caFile } as const;
    return runTransfer({ ...part, access }, onProgress);
  };
  return {
    dir,
    binary,
    nats,
    send: (root, onProgress, more) => transfer({ kind: 'send', root, ...more }, onProgress),
    fetch: (tree, root, more) =>
      transfer({ kind: 'fetch', root, ...(tree === undefined ? {} : { tree }), ...more }),
    [Symbol.asyncDispose]: async () => {
      await nats[Symbol.asyncDispose]();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

const PROGRAM = join(import.meta.dirname, 'transfer-process.ts');
/** Compiled code is kept as `grid` keeps it from its second call on, in the same place. */
const ENV = { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache') };
let compiled: Promise<unknown> | undefined;

export async function runTransfer(
  wanted: Transfer,
  onProgress?: (done: Progress, child: ChildProcess) => void,
): Promise<Transferred> {
  await (compiled ??= run(process.execPath, [PROGRAM], { env: ENV }));
  await touchMemory();
  // Each line of progress costs both processes 0.2 ms, which no command spends.
  const transfer = JSON.stringify({ ...wanted, tells: onProgress !== undefined });
  const child = spawn(process.execPath, [PROGRAM, transfer], {
    env: ENV,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  let ended: Transferred | undefined;
  for await (const line of createInterface(child.stdout)) {
    const said = JSON.parse(line) as Progress & { readonly ended?: Transferred };
    if (said.ended === undefined) onProgress?.(said, child);
    else ended = said.ended;
  }
  await exited;
  if (ended === undefined) throw new Error('the transfer did not end');
  return ended;
}

/** Files of random bytes, in folders of a hundred. */
export async function writeFiles(root: string, count: number, bytes: number): Promise<void> {
  for (let at = 0; at < count; at += 1) {
    const folder = join(root, String(Math.floor(at / 100)));
    if (at % 100 === 0) await mkdir(folder, { recursive: true });
    await writeRandom(join(folder, `file-${at}`), bytes);
  }
}

/** A file of random bytes. */
export async function writeRandom(file: string, bytes: number): Promise<void> {
  const handle = await open(file, 'w');
  const block = Buffer.allocUnsafe(Math.min(bytes, 8 * MIB));
  for (let left = bytes; left > 0; left -= block.length)
    await handle.write(randomFillSync(block), 0, Math.min(left, block.length));
  await handle.close();
}

/** One digest over the names and contents of a tree. */
async function digestOfTree(root: string): Promise<string> {
  const hash = createHash('sha256');
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
    .toSorted();
  const buffer = Buffer.allocUnsafe(4 * MIB);
  for (const file of files)
    hash.update(`${file} ${await digestOfFile(join(root, file), buffer)}\n`);
  return hash.digest('hex');
}

async function digestOfFile(file: string, buffer: Buffer): Promise<string> {
  const hash = createHash('sha256');
  await using handle = await open(file);
  for (;;) {
    const { bytesRead } = await handle.read(buffer);
    if (bytesRead === 0) return hash.digest('hex');
    hash.update(buffer.subarray(0, bytesRead));
  }
}

/** Throws unless both trees have the same names and contents. */
export async function assertSame(what: string, one: string, other: string): Promise<void> {
  if ((await digestOfTree(one)) !== (await digestOfTree(other)))
    throw new Error(`${what}: the tree that arrived is not the one that was sent`);
}
