import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/**
 * Makes sure that a program is there before a test that checks us against it. As root on Debian it installs the
 * packages, the first of which has the program, and starts none of their services; elsewhere it throws, saying what to
 * install.
 */
export function needs(program: string, ...debianPackages: readonly string[]): void {
  // Another test may be in the middle of installing it.
  if (existsSync(LOCK)) execFileSync('flock', [LOCK, 'true']);
  if (onPath(program)) return;
  const packages = debianPackages.join(' ');
  install(program, debianPackages);
  if (!onPath(program)) throw new Error(`packages ${packages} have no program '${program}'`);
}

/** The directory of PostgreSQL's programs, which Debian does not put on the PATH. */
export function needsPostgres(): string {
  const known = postgresPrograms();
  if (known !== undefined) return known;
  install('initdb', ['postgresql']);
  const installed = postgresPrograms();
  if (installed === undefined) throw new Error('package postgresql has no program initdb');
  return installed;
}

/** A program of a Go module, built once for this user; throws where there is no Go. */
export function needsGo(name: string, module: string, version: string): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const bin = join(cache, 'hanse', `${name}-${version}`);
  const program = join(bin, name);
  if (isExecutable(program)) return program;
  if (!onPath('go')) throw new Error(`this test needs '${name}': install Go, which builds it`);
  execFileSync('go', ['install', `${module}@${version}`], {
    env: { ...process.env, GOBIN: bin, CGO_ENABLED: '0' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return program;
}

function install(program: string, packages: readonly string[]): void {
  if (process.getuid?.() !== 0 || !onPath('apt-get'))
    throw new Error(
      `this test needs '${program}': install the Debian packages ${packages.join(' ')}`,
    );
  // Tests run at the same time: one installs, the others wait for it.
  execFileSync('flock', [LOCK, 'sh', '-c', INSTALL, 'sh', POLICY, ...packages], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** Says whether a package may start its service (Debian's invoke-rc.d). */
const POLICY = '/usr/sbin/policy-rc.d';
const LOCK = join(tmpdir(), 'hanse-install.lock');
const INSTALL = `set -e
policy=$1; shift
if ! [ -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\\nexit 101\\n' >"$policy"
  chmod 755 "$policy"
fi
run() { apt-get -y -q -o DPkg::Lock::Timeout=200 -o Acquire::Retries=5 "$@"; }
again() { "$@" || { sleep 5 && "$@"; } || { sleep 20 && "$@"; } || { sleep 60 && "$@"; }; }
# What was ended in the middle of this has left packages that are not set up.
again dpkg --configure -a
# Where somebody else has the lists of packages, apt-get does not wait.
again run update
again run install --no-install-recommends "$@"`;
const POSTGRES = '/usr/lib/postgresql';

function postgresPrograms(): string | undefined {
  const versions = existsSync(POSTGRES) ? readdirSync(POSTGRES) : [];
  const onDebian = versions.map((version) => join(POSTGRES, version, 'bin'));
  return [...onDebian, ...PATH].find((dir) => isExecutable(join(dir, 'initdb')));
}

const PATH = (process.env['PATH'] ?? '').split(delimiter);
const onPath = (program: string): boolean => PATH.some((dir) => isExecutable(join(dir, program)));

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
