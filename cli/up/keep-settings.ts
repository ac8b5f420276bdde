import { existsSync, readFileSync } from 'node:fs';
import { isMap, parseDocument, stringify } from 'yaml';
import { GridError } from '../../core/errors.ts';
import { writeAtomic } from '../../service/write-atomic.ts';

/** What ties a service to its place in the grid: made anew at each start, whatever the file says. */
const PLACED = new Set([
  'site',
  'listen',
  'certificate',
  'key',
  'trust',
  'vomsdir',
  'state',
  'spool',
  'broker-dn',
  'nats-servers',
  'servers',
  'leaf-servers',
  'replicas',
  'keys',
]);

/**
 * The text of a service's YAML for its next start: `settings` as the grid makes them, and in their place what somebody has
 * written into `existing` meanwhile, with its comments. Throws `CONFIG_INVALID` with `file` where that is not a map.
 */
export function keepSettings(existing: string, settings: object, file: string): string {
  const document = parseDocument(existing);
  const [problem] = document.errors;
  if (problem !== undefined) throw new GridError('CONFIG_INVALID', `${file}: ${problem.message}`);
  for (const [path, value] of placesOf(settings)) {
    const above = path.slice(0, -1);
    const holder = document.getIn(above);
    if (!isMap(holder) && (above.length === 0 || document.hasIn(above))) {
      const what = above.length === 0 ? 'this' : `\`${above.join('.')}\``;
      throw new GridError('CONFIG_INVALID', `${file}: ${what} is no map of settings`);
    }
    if (PLACED.has(path.at(-1) ?? '') || !document.hasIn(path)) document.setIn(path, value);
  }
  return document.toString();
}

/** Writes `settings` to `file`, which keeps what was written into it since the last time (see `keepSettings`). */
export async function writeSettings(file: string, settings: object): Promise<void> {
  const text = existsSync(file)
    ? keepSettings(readFileSync(file, 'utf8'), settings, file)
    : stringify(settings);
  await writeAtomic(file, text, 0o600);
}

/** Each setting with its path; those in maps one by one. */
function placesOf(settings: object, above: readonly string[] = []): [readonly string[], unknown][] {
  return Object.entries(settings).flatMap(([key, value]: [string, unknown]) => {
    const path = [...above, key];
    const isInner = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isInner ? placesOf(value, path) : [[path, value] satisfies [readonly string[], unknown]];
  });
}
