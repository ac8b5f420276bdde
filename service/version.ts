import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The version of the package, or `unknown`: package.json is one folder up in a checkout and two in an installed package. */
export function readVersion(): string {
  const up = dirname(import.meta.dirname);
  const file = [join(up, 'package.json'), join(dirname(up), 'package.json')].find(existsSync);
  const found: unknown = file === undefined ? {} : JSON.parse(readFileSync(file, 'utf8'));
  return typeof found === 'object' && found !== null && 'version' in found
    ? String(found.version)
    : 'unknown';
}
