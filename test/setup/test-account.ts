import { execFileSync } from 'node:child_process';
import type { Account } from '../../site-gateway/accounts/account.ts';

/** An account made for a test, and removed at its end. */
export interface TestAccount extends Account, Disposable {}

/** Makes an account of this machine, with a group of its own and no home; only root can. */
export function makeTestAccount(name: string): TestAccount {
  if (process.getuid?.() !== 0) throw new Error('this test makes accounts: run it as root');
  const full = `${name}-${process.pid}`;
  execFileSync('useradd', ['--no-create-home', '--user-group', '--shell', '/bin/sh', full]);
  const idOf = (option: string): number =>
    Number(execFileSync('id', [option, full], { encoding: 'utf8' }));
  return {
    name: full,
    uid: idOf('-u'),
    gid: idOf('-g'),
    [Symbol.dispose]: () => {
      execFileSync('userdel', [full], { stdio: ['ignore', 'ignore', 'ignore'] });
    },
  };
}
