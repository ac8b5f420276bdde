import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GridError, type Problem } from '../../core/errors.ts';
import {
  type AccountRule,
  type AccountWish,
  accountRuleAt,
  withoutAccount,
} from '../../core/match/accounts.ts';
import { ensureDirectory } from '../../service/directories.ts';
import type { SiteConfig } from '../config.ts';
import { STEP_SCRIPTS } from '../lrms/batch/batch-steps.ts';
import { type Account, parsePasswd, SETPRIV, unfit, wordsAs } from './account.ts';

/** Who runs as whom at this site. */
export interface AccountMap {
  /** As the broker gets them; empty where all tasks run as the gateway. */
  readonly rules: readonly AccountRule[];
  /** Each account once. */
  readonly all: readonly Account[];
  /** The account of a job; undefined where its owner has none, and where tasks run as the gateway. */
  accountFor(wish: AccountWish): Account | undefined;
  /** Why a job may not run; undefined where it may. */
  refusal(wish: AccountWish): string | undefined;
}

/** All tasks run as the gateway. */
const NO_ACCOUNTS: AccountMap = {
  rules: [],
  all: [],
  accountFor: () => undefined,
  refusal: () => undefined,
};

/** Where jobs can be submitted as an account, and the queue says beyond doubt whose a job is. */
const ABLE: readonly SiteConfig['lrms'][] = ['fork', 'slurm', 'gridengine'];

/** 1: nobody can make a hard link to a file that he may not write. */
const HARD_LINKS = '/proc/sys/fs/protected_hardlinks';

/**
 * The accounts of a site's configuration, each looked up and tried out; what of the spool is not for them is closed to
 * them. Throws CONFIG_INVALID with all that is wrong, and TOOL_MISSING.
 */
export function openAccounts(config: Pick<SiteConfig, 'accounts' | 'lrms' | 'spool'>): AccountMap {
  const { accounts: rules, spool } = config;
  if (rules.length === 0) return NO_ACCOUNTS;
  assertPossible(config);
  openPaths(spool);
  const problems: Problem[] = [];
  const found = rules.map(({ account: name, system, deny }, at) => {
    if (deny || name === undefined) return undefined;
    const account = lookUp(name);
    const fault =
      account === undefined
        ? `there is no account '${name}' on this machine`
        : (unfit(account, system) ??
          shutOut(account, join(spool, 'attempts')) ??
          ungiven(account, join(spool, 'attempts')));
    if (fault !== undefined) problems.push({ where: `accounts[${at}]`, message: fault });
    return account;
  });
  refuse(problems);
  const offered = rules.map(({ dn = '', fqan = '', deny }) => ({ dn, fqan, denied: deny }));
  return {
    rules: offered,
    all: [...new Map(found.flatMap((one) => (one === undefined ? [] : [[one.uid, one]]))).values()],
    accountFor: (wish) => found[accountRuleAt(offered, wish)],
    refusal: (wish) => withoutAccount(offered, wish),
  };
}

function assertPossible({ lrms }: Pick<SiteConfig, 'lrms'>): void {
  const fault = impossible(lrms);
  if (fault !== undefined) refuse([{ where: 'accounts', message: fault }]);
  if (spawnSync(SETPRIV, ['--version']).error !== undefined)
    throw new GridError('TOOL_MISSING', 'setpriv is not installed (package util-linux)');
}

function impossible(lrms: SiteConfig['lrms']): string | undefined {
  if (process.getuid?.() !== 0)
    return 'only root can run tasks as other accounts, and the gateway does not run as root';
  if (!ABLE.includes(lrms))
    return `they need one of ${ABLE.join(', ')}; with 'lrms: ${lrms}' the gateway cannot tell whose a job is: leave 'accounts' out, and all tasks run as the gateway's own account`;
  if (readFileSync(HARD_LINKS, 'utf8').trim() === '1') return undefined;
  return `${HARD_LINKS} must be 1, or tasks could pass off files of others as theirs`;
}

function refuse(problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  throw new GridError('CONFIG_INVALID', 'tasks cannot run under accounts of their own', {
    problems,
  });
}

/** Tasks and batch scripts pass through these to what is theirs. */
const PASSED = ['attempts', 'submissions'];
/** A batch system, and what its jobs start, may run these at any time. */
const SCRIPTS = ['batch-script', ...Object.keys(STEP_SCRIPTS)];

/** Accounts find nothing else in the spool. */
function openPaths(spool: string): void {
  for (const entry of readdirSync(spool, { withFileTypes: true }))
    if (![...PASSED, ...SCRIPTS].includes(entry.name))
      chmodSync(join(spool, entry.name), entry.isDirectory() ? 0o700 : 0o600);
  for (const name of PASSED) ensureDirectory(join(spool, name));
  for (const directory of [spool, ...PASSED.map((name) => join(spool, name))])
    chmodSync(directory, 0o711);
}

/** By the system's own databases, which may be in a directory service. */
function lookUp(name: string): Account | undefined {
  const { status, stdout } = spawnSync('getent', ['passwd', '--', name], { encoding: 'utf8' });
  const account = status === 0 ? parsePasswd(stdout) : undefined;
  return account?.name === name ? account : undefined;
}

/** Why files there cannot be the account's. */
function ungiven({ name, uid, gid }: Account, attempts: string): string | undefined {
  const file = join(attempts, `.account-${process.pid}`);
  try {
    writeFileSync(file, '', { flag: 'wx', mode: 0o600 });
    chownSync(file, uid, gid);
    return undefined;
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    return `files in ${attempts} cannot be given to '${name}': ${said}; is it a file server's, without no_root_squash?`;
  } finally {
    rmSync(file, { force: true });
  }
}

/** Why a task of the account could not get to its directory. */
function shutOut(account: Account, attempts: string): string | undefined {
  const [program = '', ...words] = wordsAs(account, '/dev/null');
  const test = [...words, '/bin/sh', '-c', 'cd "$1"', 'sh', attempts];
  const { status, stderr } = spawnSync(program, test, { encoding: 'utf8', cwd: '/' });
  if (status === 0) return undefined;
  const said = stderr.trim().split('\n').at(-1) ?? '';
  return `'${account.name}' cannot get to ${attempts}: ${said}`;
}
