import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Whether the machine lives on its battery: one that is being used up, and no mains that is plugged in. */
export function isOnBattery(root: string): boolean {
  const folder = join(root, 'sys/class/power_supply');
  const supplies = namesIn(folder).map((name) => {
    const read = (file: string): string => textOf(join(folder, name, file));
    // That of a mouse or a telephone is not the machine's.
    const isOwn = read('scope') !== 'Device';
    return { type: isOwn ? read('type') : '', online: read('online'), status: read('status') };
  });
  const isPlugged = supplies.some(
    ({ type, online }) => /^(?:Mains|USB)/.test(type) && online === '1',
  );
  return (
    !isPlugged &&
    supplies.some(({ type, status }) => type === 'Battery' && status === 'Discharging')
  );
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    // No such class: a machine without batteries.
    return [];
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}
