import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf } from './staging/file-errors.ts';

/**
 * Makes a directory, and with the same mode those above it that are missing; nothing where it is there. Node's own
 * recursive mkdir never comes back where none can be made, below /proc for instance. Throws what mkdir throws.
 */
export function ensureDirectory(path: string, mode?: number): void {
  try {
    makeOne(path, mode);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || dirname(path) === path) throw error;
    ensureDirectory(dirname(path), mode);
    makeOne(path, mode);
  }
}

function makeOne(path: string, mode: number | undefined): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST' || !statSync(path).isDirectory()) throw error;
  }
}
