import { readdirSync, readFileSync } from 'node:fs';

/** Pids of the shells that start the tasks of the gateway with this spool. */
export const launchersOf = (spool: string): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && isLauncherOf(name, spool))
    .map(Number);

function isLauncherOf(pid: string, spool: string): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return words.includes('grid-launcher') && words.includes(spool);
  } catch {
    // Gone meanwhile.
    return false;
  }
}
