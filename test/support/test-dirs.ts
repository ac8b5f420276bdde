import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** To be called at the top of a test file: gives a maker of empty directories, which go when the file's tests are over. */
export function testDirs(name: string): () => string {
  const made: string[] = [];
  afterAll(() => {
    for (const dir of made) rmSync(dir, { recursive: true, force: true });
  });
  return () => {
    const dir = mkdtempSync(join(tmpdir(), `hanse-${name}-`));
    made.push(dir);
    return dir;
  };
}
