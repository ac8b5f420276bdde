import { setFlagsFromString } from 'node:v8';

/** V8 doubles its space for young objects whenever so much of them has survived, however long that took. */
const YOUNG_GROWTH = '--semi-space-growth-factor=1';

/**
 * Keeps the space for young objects as it is from now on, for a process that does nothing but move files: without it a
 * transfer of 10 GiB needs 50 MiB more than one of 100 MiB, with it 2 % more processor time.
 */
export const keepHeapSmall = (): void => setFlagsFromString(YOUNG_GROWTH);
