import type { CommandSpec } from '../command.ts';
import { CA_COMMANDS } from './ca.ts';
import { CERT_COMMANDS } from './cert.ts';
import { VO_COMMANDS } from './vo.ts';

/** ca, cert, authority, vo, login. */
export const AUTHORITY_COMMANDS: readonly CommandSpec[] = [
  ...CERT_COMMANDS,
  ...VO_COMMANDS,
  ...CA_COMMANDS,
];
