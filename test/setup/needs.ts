import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * Makes sure that a program is there before a test that checks us against it. As root on Debian it installs the
 * package; elsewhere it throws, saying what to install.
 */
export function needs(program: string, debianPackage: string): void {
  if (onPath(program)) return;
  if (process.getuid?.() !== 0 || !onPath('apt-get')) {
    throw new Error(`this test needs '${program}': install the Debian package ${debianPackage}`);
  }
  apt('update');
  apt('install', '--no-install-recommends', debianPackage);
  if (!onPath(program)) throw new Error(`package ${debianPackage} has no program '${program}'`);
}

function apt(...args: readonly string[]): void {
  execFileSync('apt-get', ['-y', '-q', '-o', 'DPkg::Lock::Timeout=200', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

const onPath = (program: string): boolean =>
  (process.env['PATH'] ?? '').split(delimiter).some((dir) => isExecutable(join(dir, program)));

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
