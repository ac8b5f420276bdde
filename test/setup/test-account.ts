import { execFileSync, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import type { Account } from '../../site-gateway/accounts/account.ts';

/** An account made for a test, and removed at its end. */
export interface TestAccount extends Account, Disposable {}

/** Numbers of accounts: Debian gives those of people from below, and Grid Engine gives groups above to its jobs. */
const [FIRST_UID, LAST_UID] = [30_000, 60_000] as const;

/**
 * Makes an account of this machine, with a group of its own and no home; only root can. Its number is one of many: that of an
 * account that is gone is the next one's otherwise, which would then have its files, and be taken for it by whoever knows the number.
 */
export function makeTestAccount(name: string): TestAccount {
  if (process.getuid?.() !== 0) throw new Error('this test makes accounts: run it as root');
  const options = ['--no-create-home', '--user-group', '--shell', '/bin/sh'];
  let full = '';
  tryToChange('useradd', () => {
    const uid = randomInt(FIRST_UID, LAST_UID);
    full = `${name}-${uid}`;
    return [...options, '--uid', String(uid), full];
  });
  const idOf = (option: string): number =>
    Number(execFileSync('id', [option, full], { encoding: 'utf8' }));
  return {
    name: full,
    uid: idOf('-u'),
    gid: idOf('-g'),
    [Symbol.dispose]: () => changeAccounts('userdel', full),
  };
}

/**
 * Runs a command that changes accounts, and tries again for a while: another test may hold the lock, and a process that has
 * ended holds its account until it is collected.
 */
export function changeAccounts(program: string, ...args: readonly string[]): void {
  tryToChange(program, () => args);
}

function tryToChange(program: string, argsOf: () => readonly string[]): void {
  for (let left = 60; ; left -= 1) {
    const args = argsOf();
    const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    if (status === 0) return;
    if (left === 0) throw new Error(`${program} ${args.join(' ')} does not succeed: ${stderr}`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
  }
}
