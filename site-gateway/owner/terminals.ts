import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Where terminals stand below /dev, and what they are called: consoles and serial lines, and those of windows and ssh. */
const PLACES: readonly (readonly [folder: string, name: RegExp])[] = [
  ['dev', /^tty(?:S|USB)?\d+$/],
  ['dev/pts', /^\d+$/],
];

/**
 * When somebody last typed at a terminal of the machine; undefined where there is none. `w` tells the same: the kernel sets
 * the time of access when a program reads what was typed, to 8 seconds, so that nobody learns how fast somebody types.
 */
export function lastTyped(root: string): number | undefined {
  const times = PLACES.flatMap(([folder, name]) =>
    namesIn(join(root, folder))
      .filter((one) => name.test(one))
      .map((one) => statSync(join(root, folder, one), { throwIfNoEntry: false })?.atimeMs ?? 0),
  );
  const last = Math.max(0, ...times);
  return last === 0 ? undefined : last;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    // There are no terminals of this kind.
    return [];
  }
}
