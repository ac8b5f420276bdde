import { readFileSync } from 'node:fs';

/** Another value after each start of the machine. */
export const bootIdNow = (): string =>
  readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
