/** A local account that tasks run as. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  /** Its primary group; the others come from the group database when a task starts. */
  readonly gid: number;
}

export const SETPRIV = '/usr/bin/setpriv';

/** First uid that Linux distributions give to people. */
const FIRST_OF_PEOPLE = 1_000;

/** The account in a line of passwd(5); undefined where it is none. */
export function parsePasswd(line: string): Account | undefined {
  const [name = '', , uid = '', gid = ''] = line.trim().split(':');
  if (name === '' || !/^\d+$/.test(uid) || !/^\d+$/.test(gid)) return undefined;
  return { name, uid: Number(uid), gid: Number(gid) };
}

/** The same the other way round. */
export const formatPasswd = ({ name, uid, gid }: Account): string => `${name}:x:${uid}:${gid}\n`;

/** Why no task may run as this account; undefined where it may. Root never is one. */
export function unfit({ name, uid }: Account, isSystemAllowed: boolean): string | undefined {
  if (uid === 0) return `'${name}' is root: no task of the grid runs as root`;
  if (uid >= FIRST_OF_PEOPLE || isSystemAllowed) return undefined;
  return `'${name}' is an account of the system (uid ${uid}): say 'system: true' if it is meant`;
}

/**
 * Words that go before those of a task so that it runs as the account, with all its groups and no privileges. Its standard
 * input is opened with the account's rights, too: a link may stand there by now.
 */
export const wordsAs = ({ uid, gid }: Account, stdin: string): readonly string[] => [
  SETPRIV,
  `--reuid=${uid}`,
  `--regid=${gid}`,
  '--init-groups',
  '--inh-caps=-all',
  '--',
  '/bin/sh',
  '-c',
  'exec "$@" <"$0"',
  stdin,
];

/** The words of a command that is run with an account's rights; the gateway's own where there is none. */
export const commandAs = (
  account: Account | undefined,
  words: readonly string[],
): readonly string[] =>
  account === undefined ? words : [...wordsAs(account, '/dev/null'), ...words];

/** Why there was no becoming the account, of what a command of `commandAs` said; undefined where that went well. */
export const accountFault = (stderr: string): string | undefined =>
  /^setpriv: (.+)/m.exec(stderr)?.[1];
