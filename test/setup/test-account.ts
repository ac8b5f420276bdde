import { execFileSync, spawnSync } from 'node:child_process';
import type { Account } from '../../site-gateway/accounts/account.ts';

/** An account made for a test, and removed at its end. */
export interface TestAccount extends Account, Disposable {}

/** Makes an account of this machine, with a group of its own and no home; only root can. */
export function makeTestAccount(name: string): TestAccount {
  if (process.getuid?.() !== 0) throw new Error('this test makes accounts: run it as root');
  const full = `${name}-${process.pid}`;
  changeAccounts('useradd', '--no-create-home', '--user-group', '--shell', '/bin/sh', full);
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
  for (let left = 60; ; left -= 1) {
    const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    if (status === 0) return;
    if (left === 0) throw new Error(`${program} ${args.join(' ')} does not succeed: ${stderr}`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
  }
}
