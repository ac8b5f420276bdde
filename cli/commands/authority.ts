import type { CommandSpec } from '../command.ts';

/** ca, cert, authority, vo, login. */
export const AUTHORITY_COMMANDS: readonly CommandSpec[] = [];
