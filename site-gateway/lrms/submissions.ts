import { randomBytes } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import {
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import type { AttemptId } from '../../core/ids.ts';
import type { Log } from '../../service/log.ts';
import { BATCH_SCRIPT } from './batch-script.ts';
import { STEP_SCRIPTS } from './batch-steps.ts';
import type { Element } from './batch-system.ts';
import type { LrmsTask } from './lrms.ts';
import { quote } from './shell-word.ts';

/** A file that the batch script has made: the element has begun, or has come to its end. */
export interface Mark {
  readonly element: Element;
  readonly what: 'started' | 'ended';
}

/**
 * The directories of submissions. Each holds a link per element to its attempt, the marks that the script makes, and the
 * log of the batch system. The gateway and the script agree by `INDEX.started` who was first: whoever makes it decides
 * whether the element ever runs.
 */
export interface Submissions extends Disposable {
  readonly script: string;
  directoryOf(token: string): string;
  /** Where the launcher's steps of an element leave what they have used. */
  stepsOf(element: Element): string;
  /** Writes down all that the script needs, on the disk before it resolves; the batch system is told after that. */
  prepare(tasks: readonly LrmsTask[]): Promise<string>;
  /** Where an earlier run put an attempt; undefined where it did not, or revoked it. */
  before(id: AttemptId): Promise<Element | undefined>;
  /** Sees to it that an element never starts; false where it has. */
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
const LOG_BYTES = 2_000;
const OLD_MS = 3_600_000;

export async function openSubmissions(
  spool: string,
  log: Log,
  onMark: (mark: Mark) => void,
): Promise<Submissions> {
  const root = join(spool, 'submissions');
  await mkdir(root, { recursive: true });
  const script = join(spool, 'batch-script');
  await writeScript(script, BATCH_SCRIPT);
  for (const [name, text] of Object.entries(STEP_SCRIPTS))
    await writeScript(join(spool, name), text);
  const revoked = join(spool, 'batch-revoked');
  await writeFile(revoked, `${REVOKED}\n`);
  const earlier = await readTasks(root);
  return new SubmissionDirectories({ root, script, revoked, earlier, log, onMark });
}

/** A running shell reads its text bit by bit: never into the old file. */
async function writeScript(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o755 });
  await rename(`${file}.new`, file);
}

interface Parts {
  readonly root: string;
  readonly script: string;
  /** A file that a mark of what is given up is a link to. */
  readonly revoked: string;
  readonly earlier: ReadonlyMap<string, readonly Element[]>;
  readonly log: Log;
  readonly onMark: (mark: Mark) => void;
}

class SubmissionDirectories implements Submissions {
  readonly script: string;
  private readonly parts: Parts;
  private readonly watchers = new Map<string, FSWatcher>();

  constructor(parts: Parts) {
    this.parts = parts;
    this.script = parts.script;
  }

  directoryOf(token: string): string {
    return join(this.parts.root, token);
  }

  stepsOf({ token, index }: Element): string {
    return join(this.directoryOf(token), `${index}.steps`);
  }

  async prepare(tasks: readonly LrmsTask[]): Promise<string> {
    const token = randomBytes(8).toString('hex');
    const directory = this.directoryOf(token);
    await mkdir(directory);
    for (const [at, task] of tasks.entries()) {
      await writeFile(join(task.directory, 'order'), orderOf(task));
      await symlink(task.directory, join(directory, String(at + 1)));
    }
    const ids = tasks.map(({ id }) => id).join('\n');
    await writeFile(join(directory, TASKS), ids, { flush: true });
    await using entries = await open(directory);
    await entries.sync();
    return token;
  }

  async before(id: AttemptId): Promise<Element | undefined> {
    for (const element of this.parts.earlier.get(id) ?? []) {
      const text = await readIfThere(this.startedFile(element));
      if (text !== `${REVOKED}\n`) return element;
    }
    return undefined;
  }

  async revoke(element: Element): Promise<boolean> {
    try {
      await link(this.parts.revoked, this.startedFile(element));
      return true;
    } catch (error) {
      const code = codeOf(error);
      if (code === 'EEXIST') return (await this.startedStat(element)) === `${REVOKED}\n`;
      // Without its directory the script finds no way to the attempt.
      if (code === 'ENOENT') return true;
      throw error;
    }
  }

  async startedAtMs(element: Element): Promise<number | undefined> {
    const text = await readIfThere(this.startedFile(element));
    if (text === undefined || text.startsWith(REVOKED)) return undefined;
    // The directory may be removed meanwhile, with the end of its last element.
    const found = await stat(this.startedFile(element)).catch(ifThere);
    return found && Math.round(found.mtimeMs);
  }

  async startedStat(element: Element): Promise<string> {
    return (await readIfThere(this.startedFile(element))) ?? '';
  }

  async marks(token: string): Promise<readonly Mark[]> {
    const names = await readdir(this.directoryOf(token)).catch(() => []);
    return names.map((name) => markOf(token, name)).filter((mark) => mark !== undefined);
  }

  async allowKill({ token, index }: Element): Promise<void> {
    await writeFile(join(this.directoryOf(token), `${index}.kill`), '');
  }

  async wasNoticed({ token, index }: Element): Promise<boolean> {
    return (await readIfThere(join(this.directoryOf(token), `${index}.noticed`))) !== undefined;
  }

  async logOf({ token, index }: Element): Promise<string> {
    const text = await readIfThere(join(this.directoryOf(token), `${index}.log`));
    return (text ?? '').trim().slice(-LOG_BYTES);
  }

  follow(token: string): void {
    const { log, onMark } = this.parts;
    const blind = (error: unknown): void => {
      log.warn({ err: error, token }, 'marks are looked for in turn only');
      this.unfollow(token);
    };
    try {
      const watcher = watch(this.directoryOf(token), (_, name) => {
        const mark = name === null ? undefined : markOf(token, name);
        if (mark !== undefined) onMark(mark);
      });
      watcher.on('error', blind);
      this.watchers.set(token, watcher);
    } catch (error) {
      blind(error);
    }
  }

  async forget(token: string): Promise<void> {
    this.unfollow(token);
    await rm(this.directoryOf(token), { recursive: true, force: true });
  }

  async sweep(nowMs: number, isUsed: (token: string) => boolean): Promise<void> {
    for (const token of await readdir(this.parts.root)) {
      const found = await stat(this.directoryOf(token)).catch(() => undefined);
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

  private startedFile({ token, index }: Element): string {
    return join(this.directoryOf(token), `${index}.started`);
  }
}

/** Shell text that sets the words to run; `env` sets variables that a shell would keep to itself. The last line says it is whole. */
function orderOf({
  command,
  env,
  stdin,
  nodes,
  cpus,
  memoryBytes,
  diskBytes = 0,
  boxed = false,
}: LrmsTask): string {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const words = ['/usr/bin/env', ...variables, '/bin/sh', '-c', 'exec "$@"', 'sh', ...command];
  return `set -- ${words.map(quote).join(' ')}\n_grid_gang=${nodes} _grid_cores=${cpus} _grid_most=${memoryBytes} _grid_room=${diskBytes || ''} _grid_boxed=${boxed ? 'yes' : ''}\n_grid_in=${quote(stdin)}\n`;
}

/** Where earlier runs put attempts. */
async function readTasks(root: string): Promise<ReadonlyMap<string, readonly Element[]>> {
  const found = new Map<string, Element[]>();
  for (const token of await readdir(root)) {
    const ids = (await readIfThere(join(root, token, TASKS)))?.split('\n') ?? [];
    for (const [at, id] of ids.entries())
      found.set(id, [...(found.get(id) ?? []), { token, index: at + 1 }]);
  }
  return found;
}

function markOf(token: string, name: string): Mark | undefined {
  const [, index = '', what] = /^(\d+)\.(started|ended)$/.exec(name) ?? [];
  if (what !== 'started' && what !== 'ended') return undefined;
  return { element: { token, index: Number(index) }, what };
}

const readIfThere = (file: string): Promise<string | undefined> =>
  readFile(file, 'utf8').catch(ifThere);

/** Undefined for what is not there. */
function ifThere(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : '';
