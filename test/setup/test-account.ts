import { execFileSync } from 'node:child_process';

/** An account made for a test, and removed at its end. */
export interface TestAccount extends Disposable {
  readonly name: string;
  readonly uid: number;
}

/** Makes an account of this machine, with a group of its own and no home; only root can. */
export function makeTestAccount(name: string): TestAccount {
  if (process.getuid?.() !== 0) throw new Error('this test makes accounts: run it as root');
  const full = `${name}-${process.pid}`;
  execFileSync('useradd', ['--no-create-home', '--user-group', '--shell', '/bin/sh', full]);
  const uid = Number(execFileSync('id', ['-u', full], { encoding: 'utf8' }));
  return {
    name: full,
    uid,
    [Symbol.dispose]: () => {
      execFileSync('userdel', [full], { stdio: ['ignore', 'ignore', 'ignore'] });
    },
  };
}
