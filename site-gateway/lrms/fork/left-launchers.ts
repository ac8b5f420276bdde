import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pause } from '../../../service/background.ts';
import type { Log } from '../../../service/log.ts';
import { attemptDirectory } from '../../attempts/attempt-directory.ts';
import { isAlive, openProcessTable, readStat, sendSignal, treeOf } from '../process-tree.ts';
import { clearGroups } from '../sandbox/kept-groups.ts';
import type { ProcessKey } from '../task-files.ts';

/** As they are called, with the spool behind: by that a later run knows those of an earlier one. */
export const LAUNCHER_NAME = 'grid-launcher';

/**
 * Ends and removes what an earlier run left of tasks that nobody knows. `isWhole` says that all of its tasks are known from now
 * on: before that nothing happens.
 */
export type ClearLeft = (isKnown: (id: string) => boolean, isWhole: boolean) => Promise<void>;

const LOOK_MS = 50;
const LOOKS = 200;
const ROUND_MS = 50;
/** About two seconds; what is still there then is stuck in the kernel. */
const ROUNDS = 40;

/**
 * Looks for the shells of an earlier run. One that has a task which has begun is kept until it is known whose that is. Others
 * have nothing to do any more: they go by themselves mostly, are given ten seconds where they are just about to begin, and
 * are ended then.
 */
export async function findLeft(spool: string, log: Log): Promise<ClearLeft> {
  let shells = launchersOf(spool);
  for (let look = 0; shells.some(isBeginning) && look < LOOKS; look += 1) {
    await pause(LOOK_MS);
    shells = launchersOf(spool);
  }
  const hasBegun = (one: Shell): boolean => one.id !== '' && !isBeginning(one);
  const idle = shells.filter((one) => !hasBegun(one)).map(({ key }) => key);
  sendSignal(idle, 'SIGKILL');
  const begun = shells.filter(hasBegun);
  let knowsAll = false;
  return async (isKnown, isWhole) => {
    knowsAll ||= isWhole;
    if (!knowsAll) return;
    const unknown = begun.filter(({ id, key }) => !isKnown(id) && isAlive(key));
    await endTasks(unknown, spool, log);
    await clearGroups(spool, isKnown);
  };
}

async function endTasks(shells: readonly Shell[], spool: string, log: Log): Promise<void> {
  if (shells.length === 0) return;
  log.warn({ attempts: shells.map(({ id }) => id) }, 'tasks that nobody knows are ended');
  const trees = shells.map(({ id, key }) => ({
    directory: attemptDirectory(spool, id),
    wrapper: key,
    members: new Set<number>(),
  }));
  const scan = openProcessTable();
  for (let round = 0; round < ROUNDS; round += 1) {
    const processes = scan();
    const left = trees.flatMap((signs) => treeOf(signs, processes));
    if (left.length === 0) return;
    sendSignal(left, 'SIGKILL');
    await pause(ROUND_MS);
  }
}

interface Shell {
  readonly key: ProcessKey;
  /** Of its attempt; '' where it has none. */
  readonly id: string;
  /** The fence of that one. */
  readonly started: string;
}

function launchersOf(spool: string): readonly Shell[] {
  return readdirSync('/proc').flatMap((name) => {
    const words = /^\d+$/.test(name) ? commandLine(name) : [];
    const at = words.indexOf(LAUNCHER_NAME);
    if (at < 0 || words[at + 1] !== spool || !isInSpool(name, spool)) return [];
    const facts = readStat(Number(name));
    const folder = workOf(name);
    if (facts === undefined || folder === undefined) return [];
    const directory = dirname(folder);
    const id = folder === '/' ? '' : basename(directory);
    const key = { pid: facts.pid, startTicks: facts.startTicks };
    return [{ key, id, started: join(directory, 'started') }];
  });
}

/** It has been told of a task and has not come to the fence: until then it may begin it. */
const isBeginning = ({ id, started }: Shell): boolean =>
  id !== '' && (statSync(started, { throwIfNoEntry: false })?.size ?? 0) === 0;

/** In a container the same path may be another directory. */
function isInSpool(pid: string, spool: string): boolean {
  try {
    const [its, own] = [statSync(`/proc/${pid}/root${spool}`), statSync(spool)];
    return its.dev === own.dev && its.ino === own.ino;
  } catch {
    // Another user's, or gone.
    return false;
  }
}

function commandLine(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

/** Where a shell is: in the root until it begins a task; undefined where it has just gone. */
function workOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}
