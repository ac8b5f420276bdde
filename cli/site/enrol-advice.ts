import { clockText } from './sites.ts';

/** What of a site that was enrolled matters for what may go wrong later. */
export interface Enrolled {
  /** Account that the gateway runs as. */
  readonly user: string;
  readonly spool: string;
  /** Whether its configuration has a map of accounts for tasks. */
  readonly hasMap: boolean;
  readonly hasSystemd: boolean;
  /** Whether its batch system has nodes beside this machine. */
  readonly elsewhere: boolean;
  /** How far its clock is ahead of the broker's, in ms; 0 where that does not matter. */
  readonly clockAheadMs: number;
}

/** What may go wrong only later. */
export function* enrolAdvice(site: Enrolled): Generator<string> {
  if (site.clockAheadMs !== 0)
    yield `warning: ${clockText(site.clockAheadMs)}: set one of the two (NTP), or certificates will be refused`;
  if (site.user === 'root' && !site.hasMap)
    yield `warning: the gateway runs as root, and so do its tasks: ${
      site.hasSystemd
        ? 'the same again with --account NAME gives it an account'
        : 'docs/site-admins.md says how to give it an account'
    }`;
  if (!site.hasSystemd)
    yield 'nothing starts the gateway again after a restart of this machine: the same command does, and with --print-unit it prints a unit that root may install';
  if (site.elsewhere)
    yield `the compute nodes must see ${site.spool} under this very path: if they do not, name a shared directory with --spool`;
}
