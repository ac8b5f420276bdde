import { randomBytes } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import {
  chmod,
  link,
  lstat,
  mkdir,
  open,
  opendir,
  readdir,
  readFile,
  rename,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import type { AttemptId } from '../../../core/ids.ts';
import { ensureDirectory } from '../../../service/directories.ts';
import type { Log } from '../../../service/log.ts';
import { writeAtomic } from '../../../service/write-atomic.ts';
import type { Account } from '../../accounts/account.ts';
import { handedOverTo, handOverMarks, handOverToScript } from '../../accounts/hand-over.ts';
import { readPlain } from '../../read-plain.ts';
import type { LrmsTask } from '../lrms.ts';
import { quote } from '../shell-word.ts';
import { envWords } from '../task-environment.ts';
import { batchScript } from './batch-script.ts';
import { readSteps, STEP_SCRIPTS, type StepUsage } from './batch-steps.ts';
import type { BatchSystem, Element, JobOwners } from './batch-system.ts';
import { openJobOwners, type Submitted } from './job-owners.ts';
import { openRemoval } from './remove-at-once.ts';

/** A file that the batch script has made: the element has begun, or has come to its end. */
export interface Mark {
  readonly element: Element;
  readonly what: 'started' | 'ended';
}

/**
 * The directories of submissions. Each holds a link per element to its attempt, the marks that the script makes, and the
 * log of the batch system. The gateway and the script agree by `INDEX.started` who was first: whoever makes it decides
 * whether the element ever runs.
 *
 * Where the script runs as an account, all that is in the folder `marks`, which is the account's, and only the names of the
 * attempts stand beside it. There the gateway makes names that were not there, and believes of what it finds no more than
 * it must: it may be a link, a pipe, of any size, and there may be any number of it.
 */
export interface Submissions extends Disposable {
  readonly script: string;
  /** What the script is told. */
  directoryOf(token: string): string;
  /** The account that a submission runs as; undefined for the gateway's own. */
  accountOf(token: string): Account | undefined;
  readonly owners: JobOwners;
  /** What the launcher's steps of an element have left about what they used. */
  stepsOf(element: Element): Promise<StepUsage>;
  /**
   * Writes down all that the script needs, on the disk before it resolves; the batch system is told after that. The tasks
   * have the same account.
   */
  prepare(tasks: readonly LrmsTask[]): Promise<string>;
  /** Where an earlier run put an attempt; undefined where it did not, or revoked it. */
  before(id: AttemptId): Promise<Element | undefined>;
  /** Sees to it that an element never starts; false where it has. Throws where the spool does not take the word. */
  revoke(element: Element): Promise<boolean>;
  /** When an element began, by the clock of the file system; undefined where it has not, or was revoked. */
  startedAtMs(element: Element): Promise<number | undefined>;
  /** pid and start time of the script, as it left them. */
  startedStat(element: Element): Promise<string>;
  /** Marks that are there now. */
  marks(token: string): Promise<readonly Mark[]>;
  /** Lets the script kill its task, where the batch system announces kills only. */
  allowKill(element: Element): Promise<void>;
  /** Whether the batch system has announced a kill. */
  wasNoticed(element: Element): Promise<boolean>;
  /** What the batch system and the script said about an element, its end; '' for nothing. */
  logOf(element: Element): Promise<string>;
  /** Tells of marks as they come, where the file system can tell, until `forget`. */
  follow(token: string): void;
  /** Removes the directory: nothing of the submission is wanted any more. */
  forget(token: string): Promise<void>;
  /** Removes directories that are old and that nobody uses. */
  sweep(nowMs: number, isUsed: (token: string) => boolean): Promise<void>;
}

const REVOKED = 'revoked';
/** The file that names a submission's attempts, one a line. */
const TASKS = 'tasks';
/** The folder of the account. */
const MARKS = 'marks';
const LOG_BYTES = 2_000;
const STARTED_BYTES = 4_000;
/** Files that script, gateway and batch system make for an element, and as many again. */
const NAMES_EACH = 12;
/** What happens in such a directory for each element, many times over: who makes more happen is not listened to. */
const EVENTS_EACH = 50;
const EVENTS_MORE = 1_000;
const OLD_MS = 3_600_000;

interface SubmissionOptions {
  readonly system: Pick<BatchSystem, 'leavesMemory'>;
  readonly spool: string;
  readonly log: Log;
  /** Accounts that tasks run as. */
  readonly accounts?: readonly Account[];
}

export async function openSubmissions(
  { system, spool, log, accounts = [] }: SubmissionOptions,
  onMark: (mark: Mark) => void,
): Promise<Submissions> {
  const root = join(spool, 'submissions');
  ensureDirectory(root);
  const script = join(spool, 'batch-script');
  await writeScript(script, batchScript(system));
  for (const [name, text] of Object.entries(STEP_SCRIPTS))
    await writeScript(join(spool, name), text);
  const revoked = join(spool, 'batch-revoked');
  await writeRevoked(revoked);
  const removeAtOnce = await openRemoval(join(spool, 'forgotten'), log);
  const known = await readEarlier(root);
  const parts = { root, script, revoked, removeAtOnce, known, accounts, log, onMark };
  return new SubmissionDirectories(parts);
}

/** Never into the one that is there, which is the word of all that were revoked before. */
const writeRevoked = (file: string): Promise<void> => writeAtomic(file, `${REVOKED}\n`, 0o600);

/** A submission: of this run, or of earlier ones. */
interface Known extends Submitted {
  readonly ids: readonly string[];
}

/** A running shell reads its text bit by bit: never into the old file. */
async function writeScript(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  // Whatever the gateway's umask: accounts read it.
  await chmod(`${file}.new`, 0o755);
  await rename(`${file}.new`, file);
}

interface Parts {
  readonly root: string;
  readonly script: string;
  /** A file that a mark of what is given up is a link to. */
  readonly revoked: string;
  readonly removeAtOnce: (directory: string) => Promise<void>;
  readonly known: Map<string, Known>;
  readonly accounts: readonly Account[];
  readonly log: Log;
  readonly onMark: (mark: Mark) => void;
}

class SubmissionDirectories implements Submissions {
  readonly script: string;
  readonly owners: JobOwners;
  private readonly parts: Parts;
  private readonly watchers = new Map<string, FSWatcher>();
  private readonly earlier: ReadonlyMap<string, readonly Element[]>;

  constructor(parts: Parts) {
    this.parts = parts;
    this.earlier = elementsOf(parts.known);
    this.owners = openJobOwners(parts);
    this.script = parts.script;
  }

  directoryOf(token: string): string {
    const home = this.homeOf(token);
    return this.accountOf(token) === undefined ? home : join(home, MARKS);
  }

  accountOf(token: string): Account | undefined {
    return this.parts.known.get(token)?.account;
  }

  stepsOf(element: Element): Promise<StepUsage> {
    return readSteps(this.fileOf(element, 'steps'), this.uidsOf(element));
  }

  async prepare(tasks: readonly LrmsTask[]): Promise<string> {
    const token = randomBytes(8).toString('hex');
    const home = this.homeOf(token);
    const account = tasks[0]?.account;
    const ids = tasks.map(({ id }) => id);
    this.parts.known.set(token, { ids, account });
    const directory = this.directoryOf(token);
    await mkdir(home);
    if (account !== undefined) await mkdir(directory);
    for (const [at, task] of tasks.entries()) {
      await writeFile(join(task.directory, 'order'), orderOf(task), OWN);
      if (account !== undefined) await handOverToScript(task.directory, account);
      await symlink(task.directory, join(directory, String(at + 1)));
    }
    if (account !== undefined) await handOverMarks(home, directory, account);
    await writeFile(join(home, TASKS), ids.join('\n'), { ...OWN, flush: true });
    await using entries = await open(home);
    await entries.sync();
    return token;
  }

  async before(id: AttemptId): Promise<Element | undefined> {
    for (const element of this.earlier.get(id) ?? [])
      if (!(await this.isRevoked(element))) return element;
    return undefined;
  }

  async revoke(element: Element): Promise<boolean> {
    // Without its directory the script finds no way to the attempt.
    if ((await lstat(this.directoryOf(element.token)).catch(ifThere)) === undefined) return true;
    const { revoked } = this.parts;
    try {
      // Somebody may have cleared the spool.
      if ((await lstat(revoked).catch(ifThere)) === undefined) await writeRevoked(revoked);
      await link(revoked, this.fileOf(element, 'started'));
      return true;
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return this.isRevoked(element);
      throw error;
    }
  }

  async startedAtMs(element: Element): Promise<number | undefined> {
    // The directory may be removed meanwhile, with the end of its last element.
    const found = await lstat(this.fileOf(element, 'started')).catch(ifThere);
    if (found === undefined || (await this.isRevoked(element))) return undefined;
    return Math.max(1, Math.round(found.mtimeMs));
  }

  async startedStat(element: Element): Promise<string> {
    return (await this.read(element, 'started', STARTED_BYTES)) ?? '';
  }

  async marks(token: string): Promise<readonly Mark[]> {
    const marks: Mark[] = [];
    const directory = await opendir(this.directoryOf(token)).catch(() => undefined);
    if (directory === undefined) return marks;
    let left = NAMES_EACH * this.sizeOf(token);
    for await (const { name } of directory) {
      const mark = markOf(token, name);
      if (mark !== undefined) marks.push(mark);
      left -= 1;
      if (left <= 0) break;
    }
    return marks;
  }

  async allowKill(element: Element): Promise<void> {
    // Never into a file that is there, or through a link.
    await writeFile(this.fileOf(element, 'kill'), '', { flag: 'wx' });
  }

  async wasNoticed(element: Element): Promise<boolean> {
    return (await lstat(this.fileOf(element, 'noticed')).catch(ifThere)) !== undefined;
  }

  async logOf(element: Element): Promise<string> {
    return ((await this.read(element, 'log', LOG_BYTES)) ?? '').trim();
  }

  follow(token: string): void {
    if (this.watchers.has(token)) return;
    const { log, onMark } = this.parts;
    const blind = (error: unknown): void => {
      log.warn({ err: error, token }, 'marks are looked for in turn only');
      this.unfollow(token);
    };
    let left = EVENTS_EACH * this.sizeOf(token) + EVENTS_MORE;
    try {
      const watcher = watch(this.directoryOf(token), (_, name) => {
        const mark = name === null ? undefined : markOf(token, name);
        if (mark !== undefined) onMark(mark);
        left -= 1;
        if (left === 0) blind(new Error('its account does too much in its directory'));
      });
      watcher.on('error', blind);
      this.watchers.set(token, watcher);
    } catch (error) {
      blind(error);
    }
  }

  async forget(token: string): Promise<void> {
    this.unfollow(token);
    // A script that comes meanwhile must not find its way, and no word that it is revoked.
    await this.parts.removeAtOnce(this.homeOf(token));
    this.parts.known.delete(token);
  }

  async sweep(nowMs: number, isUsed: (token: string) => boolean): Promise<void> {
    for (const token of await readdir(this.parts.root)) {
      const found = await stat(this.homeOf(token)).catch(() => undefined);
      const isOld = found !== undefined && nowMs - found.mtimeMs > OLD_MS;
      if (isOld && !isUsed(token)) await this.forget(token);
    }
  }

  [Symbol.dispose](): void {
    for (const token of this.watchers.keys()) this.unfollow(token);
  }

  private unfollow(token: string): void {
    this.watchers.get(token)?.close();
    this.watchers.delete(token);
  }

  private homeOf(token: string): string {
    return join(this.parts.root, token);
  }

  private sizeOf(token: string): number {
    return this.parts.known.get(token)?.ids.length ?? 1;
  }

  private fileOf({ token, index }: Element, what: string): string {
    return join(this.directoryOf(token), `${index}.${what}`);
  }

  /** By a file that the gateway has put there; an account's own is no proof. */
  private async isRevoked(element: Element): Promise<boolean> {
    const text = await readPlain(this.fileOf(element, 'started'), {
      most: STARTED_BYTES,
      uids: this.accountOf(element.token) === undefined ? undefined : [0],
    });
    return text === `${REVOKED}\n`;
  }

  /** What the script has left. */
  private read(element: Element, what: string, most: number): Promise<string | undefined> {
    return readPlain(this.fileOf(element, what), { most, uids: this.uidsOf(element) });
  }

  /** Nobody but its account makes its marks. */
  private uidsOf({ token }: Element): readonly number[] | undefined {
    const account = this.accountOf(token);
    return account === undefined ? undefined : [account.uid];
  }
}

/** Its content is for the account alone that gets it; others of the machine see what may be secret in no case. */
const OWN = { mode: 0o600 } as const;

/** Shell text that sets the words to run. The last line says it is whole. */
function orderOf({
  command,
  env,
  stdin,
  nodes,
  cpus,
  memoryBytes,
  diskBytes = 0,
  boxed,
}: LrmsTask): string {
  const words = envWords({ command, env });
  return `set -- ${words.map(quote).join(' ')}\n_grid_gang=${nodes} _grid_cores=${cpus} _grid_most=${memoryBytes} _grid_room=${diskBytes || ''} _grid_boxed=${boxed === 'beside' ? 'yes' : ''}\n_grid_in=${quote(stdin)}\n`;
}

/** What earlier runs left, by token. */
async function readEarlier(root: string): Promise<Map<string, Known>> {
  const known = new Map<string, Known>();
  for (const token of await readdir(root)) {
    const home = join(root, token);
    const text = await readFile(join(home, TASKS), 'utf8').catch(ifThere);
    known.set(token, { ids: text?.split('\n') ?? [], account: await handedOverTo(home) });
  }
  return known;
}

/** Where attempts have been put. */
function elementsOf(known: ReadonlyMap<string, Known>): ReadonlyMap<string, readonly Element[]> {
  const found = new Map<string, Element[]>();
  for (const [token, { ids }] of known)
    for (const [at, id] of ids.entries())
      found.set(id, [...(found.get(id) ?? []), { token, index: at + 1 }]);
  return found;
}

function markOf(token: string, name: string): Mark | undefined {
  const [, index = '', what] = /^(\d+)\.(started|ended)$/.exec(name) ?? [];
  if (what !== 'started' && what !== 'ended') return undefined;
  return { element: { token, index: Number(index) }, what };
}

/** Undefined for what is not there. */
function ifThere(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : '';
