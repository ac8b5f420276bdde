import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Packs the package into `dir`. It is built for that, in this checkout: one after the other, or one packs what another half wrote. */
export async function packInto(dir: string): Promise<void> {
  const lock = join(tmpdir(), 'hanse-test-pack.lock');
  await promisify(execFile)('flock', [lock, 'npm', 'pack', '--silent', '--pack-destination', dir]);
}
