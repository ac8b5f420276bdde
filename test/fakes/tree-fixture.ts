import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '../../service/staging/chunk-store.ts';
import { type SentTree, sendTree } from '../../service/staging/send-tree.ts';
import { type MemoryStore, memoryStore } from './memory-store.ts';

/** A directory to send from, one to fetch into (not made yet), and a store between them. */
export interface TreeFixture extends AsyncDisposable {
  readonly dir: string;
  readonly root: string;
  readonly target: string;
  readonly store: MemoryStore;
  /** Writes a file below `root`. */
  write(path: string, content: string | Uint8Array, mode?: number): Promise<void>;
  /** Sends paths below `root`. */
  send(...paths: string[]): Promise<SentTree>;
}

export async function treeFixture(): Promise<TreeFixture> {
  const dir = await mkdtemp(join(tmpdir(), 'hanse-tree-'));
  const root = join(dir, 'root');
  const store = memoryStore();
  await mkdir(root);
  return {
    dir,
    root,
    target: join(dir, 'target'),
    store,
    write: async (path, content, mode = 0o644) => {
      const file = join(root, path);
      await mkdir(join(file, '..'), { recursive: true });
      await writeFile(file, content);
      await chmod(file, mode);
    },
    send: (...paths) => sendTree(store, { root, paths }),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
}

/** Name, mode, content or link of everything below a directory. */
export async function listing(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder, { recursive: true });
  const lines = names.toSorted().map(async (name) => {
    const path = join(folder, name);
    const stats = await lstat(path);
    if (stats.isSymbolicLink()) return `${name} -> ${await readlink(path)}`;
    const content = stats.isFile() ? sha256(await readFile(path)) : 'folder';
    return `${name} ${(stats.mode & 0o777).toString(8)} ${content}`;
  });
  return Promise.all(lines);
}
