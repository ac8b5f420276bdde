import type { CommandSpec } from '../command.ts';

/** up, down, demo: a whole grid on this machine. */
export const LOCAL_COMMANDS: readonly CommandSpec[] = [];
