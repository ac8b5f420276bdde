import { symlink } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';

const SWAP = `
const { renameSync } = require('node:fs');
const { workerData: { folder, link, stop } } = require('node:worker_threads');
while (Atomics.load(stop, 0) === 0) {
  renameSync(folder, folder + '.away');
  renameSync(link, folder);
  renameSync(folder, link);
  renameSync(folder + '.away', folder);
}
`;

/** Puts a link to `to` in the place of a folder and back again, as fast as it goes; `link` is where it waits meanwhile. */
export async function swapFolder(
  folder: string,
  to: string,
  link: string,
): Promise<AsyncDisposable> {
  await symlink(to, link);
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(SWAP, { eval: true, workerData: { folder, link, stop } });
  const ended = new Promise<void>((resolve, reject) => {
    worker.on('exit', () => resolve()).on('error', reject);
  });
  return {
    [Symbol.asyncDispose]: () => {
      Atomics.store(stop, 0, 1);
      return ended;
    },
  };
}
