import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { GridError } from '../../core/errors.ts';
import { readFailure } from './file-errors.ts';
import type { FoundFile } from './walk.ts';

/** A file that is read from its beginning to its end. */
export interface FileReader {
  /** Fills `target` with the next bytes; throws FILE_CHANGED if there are fewer. */
  read(target: Uint8Array): Promise<void>;
  /** Throws FILE_CHANGED unless the file is what it was when the tree was walked. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** Never follows a link and never waits for the other end of a pipe, should the file have become one. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export async function openFile(root: string, file: FoundFile): Promise<FileReader> {
  const handle = await open(join(root, file.path), FLAGS).catch((error: unknown) => {
    throw readFailure(file.path, error);
  });
  return {
    read: (target) => fill(handle, target, file),
    finish: async () => {
      const stats = await handle.stat();
      const same =
        stats.isFile() && stats.size === file.sizeBytes && stats.mtimeMs === file.mtimeMs;
      if (!same) throw changed(file);
    },
    close: () => handle.close(),
  };
}

/** Fills `target`, which is as long as the file. */
export async function readWhole(root: string, file: FoundFile, target: Uint8Array): Promise<void> {
  const reader = await openFile(root, file);
  try {
    await reader.read(target);
    await reader.finish();
  } finally {
    await reader.close();
  }
}

async function fill(handle: FileHandle, target: Uint8Array, file: FoundFile): Promise<void> {
  let at = 0;
  while (at < target.byteLength) {
    const { bytesRead } = await handle
      .read(target, at, target.byteLength - at)
      .catch((error: unknown) => {
        throw readFailure(file.path, error);
      });
    if (bytesRead === 0) throw changed(file);
    at += bytesRead;
  }
}

const changed = (file: FoundFile): GridError =>
  new GridError('FILE_CHANGED', `'${file.path}' was written while it was read`);
