import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { GridError } from '../../../core/errors.ts';
import { isWeaker, type Sandbox } from '../../../core/job/sandbox.ts';
import { boundedWords } from '../../../core/words.ts';
import type { Log } from '../../../service/log.ts';
import type { LrmsTask } from '../lrms.ts';
import { NO_GROUPS, openTaskGroups, type TaskGroups } from './cgroups.ts';
import { withoutServices } from './services.ts';

/** What this machine has to put tasks into. */
export interface TaskSandbox {
  readonly groups: TaskGroups;
  /** The strongest class that a task may get. */
  readonly best: Sandbox;
  /**
   * Words that go before those of the task, none for the class `account`; throws for one that is not there. Of the device
   * files of the machine it sees these and the usual ones.
   */
  wordsFor(task: LrmsTask, devices: readonly string[]): readonly string[];
}

export interface SandboxOptions {
  readonly spool: string;
  /** `auto`: what the job demands. Otherwise every task gets this class. */
  readonly wanted: Sandbox | 'auto';
  /** Where programs of the system are looked for. */
  readonly path: string;
  /** Files that no task is to see. */
  readonly hidden: readonly string[];
  readonly log: Log;
}

/** Nothing but the account. */
export const BARE_SANDBOX: TaskSandbox = {
  groups: NO_GROUPS,
  best: 'account',
  wordsFor: (task) => {
    demand('account', task);
    return [];
  },
};

/** A task of an earlier run, when the site had more. */
function demand(best: Sandbox, { sandbox }: LrmsTask): void {
  if (isWeaker(best, sandbox))
    throw new TypeError(`it demands sandbox ${sandbox}, the site has ${best}`);
}

/** Finds out what the machine can do; throws TOOL_MISSING where the site wants more. */
export async function openSandbox(options: SandboxOptions): Promise<TaskSandbox> {
  const { spool, wanted, log } = options;
  if (wanted === 'account') return BARE_SANDBOX;
  const groups = await openTaskGroups(spool, log);
  const { bubble, fault } = await openBubble(options);
  if (fault !== '') log.info({ fault }, 'tasks cannot have namespaces of their own');
  const best = bestOf(bubble !== undefined, groups !== NO_GROUPS);
  const least = wanted === 'auto' ? 'account' : wanted;
  if (isWeaker(best, least)) {
    groups[Symbol.dispose]();
    throw new GridError(
      'TOOL_MISSING',
      `'sandbox: ${wanted}' is configured, and what this machine can do is '${best}': ${
        fault || "limits take control groups of one's own (systemd: Delegate=yes)"
      }`,
    );
  }
  return {
    groups,
    best,
    wordsFor: (task, devices) => {
      demand(best, task);
      const isBare = task.sandbox === 'account' && least === 'account';
      return bubble === undefined || isBare || task.boxed !== undefined
        ? []
        : bubble(task, devices);
    },
  };
}

function bestOf(hasNamespaces: boolean, hasGroups: boolean): Sandbox {
  if (!hasNamespaces) return 'account';
  return hasGroups ? 'cgroup' : 'namespaces';
}

type Boxed = Pick<LrmsTask, 'directory' | 'network' | 'account'>;
type Bubble = (task: Boxed, devices: readonly string[]) => readonly string[];

/** Bubblewrap, where it is installed and this account may use it; else why not. */
async function openBubble({
  path,
  spool,
  hidden,
}: SandboxOptions): Promise<{ readonly bubble?: Bubble; readonly fault: string }> {
  const program = path
    .split(delimiter)
    .map((folder) => join(folder, 'bwrap'))
    .find((file) => existsSync(file));
  if (program === undefined)
    return { fault: `namespaces take bwrap, and there is none in ${path} (package bubblewrap)` };
  const bubble: Bubble = (task, devices) => [program, ...bubbleWords(task, devices, spool, hidden)];
  const directory = mkdtempSync(join(spool, 'self-test-'));
  mkdirSync(join(directory, 'work'));
  try {
    const [, ...words] = bubble({ directory, network: 'none' }, []);
    const test = `: >tried && ! (: >/tried-${process.pid}) && [ $$ -lt 10 ]`;
    const child = spawn(program, [...words, 'sh', '-c', test], {
      stdio: ['ignore', 'ignore', 'pipe', 'ignore', 'ignore', 'pipe'],
      timeout: TEST_MS,
    });
    const [output] = await Promise.all([
      child.stderr === null ? '' : text(child.stderr),
      once(child, 'close'),
    ]);
    if (child.exitCode === 0 && existsSync(join(directory, 'work', 'tried')))
      return { bubble, fault: '' };
    return { fault: `${program} can make no namespaces: ${whyNot(output)}` };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const TEST_MS = 10_000;

/** What bubblewrap says, with the settings that mostly are behind it. */
function whyNot(output: string): string {
  const said = boundedWords(output.trim().split('\n').at(-1) ?? '') || 'it says nothing';
  const isDenied = /namespace|permission|not permitted|uid map|No space left/i.test(said);
  return isDenied
    ? `${said} (see sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns)`
    : said;
}

/** Where bubblewrap says whether the task began; the wrapper opens it. */
const STATUS_FD = 5;
const SEEN = '--ro-bind / / --dev /dev --proc /proc --tmpfs /tmp'.split(' ');
const APART =
  `--unshare-pid --unshare-ipc --unshare-uts --new-session --cap-drop ALL --json-status-fd ${STATUS_FD}`.split(
    ' ',
  );
/** What it takes to become another account, which then has nothing of it; and to go to that one's directory. */
const TO_CHANGE = ['CAP_SETUID', 'CAP_SETGID', 'CAP_DAC_READ_SEARCH'].flatMap((name) => [
  '--cap-add',
  name,
]);
const passable = (folder: string): readonly string[] => ['--chmod', '0711', folder];

/**
 * All of the machine to read but the spool and what is hidden; the task's own directories to write, at the same paths; no
 * service of the machine to speak to by a name in the file system.
 * It does not die with its parent: the wrapper and the gateway end it, and name what it leaves behind.
 */
function bubbleWords(
  { directory, network, account }: Boxed,
  devices: readonly string[],
  spool: string,
  hidden: readonly string[],
): readonly string[] {
  const own = (name: string): readonly string[] => {
    const folder = join(directory, name);
    return ['--bind-try', folder, folder];
  };
  return [
    ...SEEN,
    ...withoutServices(),
    ...devices.flatMap((file) => ['--dev-bind', file, file]),
    '--tmpfs',
    spool,
    ...own('work'),
    ...own('tmp'),
    // Made by bubblewrap, as root and for root.
    ...(account === undefined ? [] : [dirname(directory), directory].flatMap(passable)),
    ...hidden.flatMap((file) => ['--ro-bind-try', '/dev/null', realpathSync(file)]),
    '--chdir',
    join(directory, 'work'),
    ...(network === 'none' ? ['--unshare-net'] : []),
    ...APART,
    ...(account === undefined ? [] : TO_CHANGE),
    '--',
  ];
}
