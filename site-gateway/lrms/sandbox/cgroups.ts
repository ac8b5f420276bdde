import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pause } from '../../../service/background.ts';
import type { Log } from '../../../service/log.ts';
import { type GroupLayout, V1_FILES, V2_FILES } from './cgroup-layout.ts';
import {
  foldersOf,
  isRemoved,
  keptLayout,
  killGroup,
  makeGroup,
  pidsIn,
  removeGroup,
} from './kept-groups.ts';

/**
 * A control group for each task. The kernel holds its processes to their memory, whether a gateway runs or not, knows
 * them all wherever they went, and counts what they used.
 */
export interface TaskGroups extends Disposable {
  /** Makes the group of a task. A process that writes 0 to each of these files has joined it. */
  make(id: string, memoryBytes: number): readonly string[];
  /** Sets the limits of a group that an earlier run made; nothing where there is none. */
  renew(id: string, memoryBytes: number): void;
  /** Pids in it; none where the task has no group. */
  members(id: string): ReadonlySet<number>;
  /** Ends all that is in it at one stroke. */
  kill(id: string): void;
  /** Lets all that is in it stand still, or go on; false where the task has no group or the kernel cannot. */
  freeze(id: string, isFrozen: boolean): boolean;
  /** Undefined where the task has no group. */
  figures(id: string): GroupFigures | undefined;
  /** Removes a group that is empty or about to be. */
  remove(id: string): Promise<void>;
}

/** What the kernel has counted. */
export interface GroupFigures {
  readonly cpuMs: number;
  /** What it needs at this moment: without files that the kernel keeps in memory for it and can drop at any time. */
  readonly heldBytes: number;
  /**
   * The most that it has had, without such files as there still are; with them where that made it reach its limit. 0 on
   * kernels that do not keep it.
   */
  readonly peakMemoryBytes: number;
  /** All together had reached the limit, and the kernel ended one of them for it. */
  readonly isOverMemory: boolean;
}

/** Where there are no control groups. */
export const NO_GROUPS: TaskGroups = {
  make: () => [],
  renew: () => undefined,
  members: () => new Set(),
  kill: () => undefined,
  freeze: () => false,
  figures: () => undefined,
  remove: () => Promise.resolve(),
  [Symbol.dispose]: () => undefined,
};

/** Most processes and threads of one task. */
const MOST_PROCESSES = 4_096;
/** The kernel hands memory out in portions. */
const SLACK_BYTES = 2 ** 20;

/**
 * Groups below the gateway's own; NO_GROUPS, and a word in the log, where this machine or this account cannot have them.
 * An earlier run may have had another group of its own: where it made them is written down in the spool, and kept.
 */
export async function openTaskGroups(spool: string, log: Log): Promise<TaskGroups> {
  let groups: TaskGroups | undefined;
  try {
    const layout = keptLayout(spool);
    groups = taskGroups(layout);
    await selfTest(groups);
    log.info({ groups: layout.tree }, 'tasks run in control groups');
    return groups;
  } catch (error) {
    groups?.[Symbol.dispose]();
    log.info({ err: error }, 'tasks run without control groups');
    return NO_GROUPS;
  }
}

function taskGroups(layout: GroupLayout): TaskGroups {
  const folders = foldersOf(layout);
  return {
    make: (id, memoryBytes) => {
      for (const folder of folders) makeGroup(join(folder, id));
      limit(layout, id, memoryBytes);
      return folders.map((folder) => join(folder, id, 'cgroup.procs'));
    },
    renew: (id, memoryBytes) => {
      try {
        limit(layout, id, memoryBytes);
      } catch {
        // It has no group, or none any more: its end is known otherwise.
      }
    },
    members: (id) => new Set(pidsIn(join(layout.tree, id))),
    kill: (id) => killGroup(layout, id),
    freeze: (id, isFrozen) => {
      const file = join(layout.tree, id, 'cgroup.freeze');
      if (!existsSync(file)) return false;
      writeFileSync(file, isFrozen ? '1' : '0');
      return true;
    },
    figures: (id) => figuresOf(layout, id),
    remove: (id) => removeGroup(layout, id),
    [Symbol.dispose]: () => {
      // Those that still have groups of tasks stay for the next run.
      for (const folder of folders) isRemoved(folder);
    },
  };
}

function limit(layout: GroupLayout, id: string, memoryBytes: number): void {
  const files = layout.isPure ? V2_FILES : V1_FILES;
  const memory = join(layout.memory, id);
  writeFileSync(join(memory, files.limit), String(memoryBytes));
  for (const [file, value] of files.besides(memoryBytes))
    if (existsSync(join(memory, file))) writeFileSync(join(memory, file), value);
  writeFileSync(join(layout.pids, id, 'pids.max'), String(MOST_PROCESSES));
}

function figuresOf(layout: GroupLayout, id: string): GroupFigures | undefined {
  if (!existsSync(join(layout.tree, id))) return undefined;
  const files = layout.isPure ? V2_FILES : V1_FILES;
  const memory = join(layout.memory, id);
  const events = join(memory, files.events);
  const peak = numberIn(join(memory, files.peak), '');
  // The kernel may also have ended it because the machine as a whole was full. Version 1 counts no failures of use.
  const wasFull = (): boolean =>
    layout.isPure
      ? numberIn(events, 'oom') > 0
      : peak > numberIn(join(memory, files.limit), '') - SLACK_BYTES;
  const isOverMemory = numberIn(events, 'oom_kill') > 0 && wasFull();
  const stat = textOf(join(memory, 'memory.stat'));
  const [anonymous = 0, shared = 0] = files.held.map((key) => numberOf(stat, key));
  const droppable = Math.max(0, numberOf(stat, files.files) - shared);
  return {
    cpuMs: Math.round(numberIn(join(layout.tree, id, 'cpu.stat'), 'usage_usec') / 1_000),
    heldBytes: anonymous + shared,
    peakMemoryBytes: isOverMemory ? peak : Math.max(0, peak - droppable),
    isOverMemory,
  };
}

/** The number behind `key` on a line of its own, or the only number of the text for ''; 0 where there is none. */
function numberOf(text: string, key: string): number {
  const line = text.split('\n').find((one) => key === '' || one.startsWith(`${key} `));
  return Number((line ?? '0').slice(key.length));
}

const numberIn = (file: string, key: string): number => numberOf(textOf(file), key);

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // There is no such group, or none any more.
    return '';
  }
}

const TEST_ID = 'self-test';
const TEST_BYTES = 8 * 2 ** 20;
/** On a busy machine it takes seconds, and a site without groups would be the price of haste. */
const TEST_PATIENCE_MS = 60_000;
const JOIN = `for file; do echo 0 >"$file" || exit 1; done`;
/** Leaves a child behind that has left its session. */
const LEAVE_SCRIPT = `${JOIN}
setsid sleep 60 &`;
/** Takes more memory than it may have; the kernel then ends all that are in the group, or one of them. */
const FILL_SCRIPT = `${JOIN}
x=$(head -c 33554432 /dev/zero | tr '\\0' x)`;

/** Tries out what is relied on: that a process joins, is ended with all that it started, is held to its memory. */
async function selfTest(groups: TaskGroups): Promise<void> {
  try {
    const files = groups.make(TEST_ID, TEST_BYTES);
    if (files.some((file) => /\s/.test(file))) throw new TypeError(`spaces in ${files[0]}`);
    const run = async (script: string): Promise<void> => {
      const options = { stdio: 'ignore', timeout: TEST_PATIENCE_MS } as const;
      await once(spawn('/bin/sh', ['-c', script, 'sh', ...files], options), 'exit');
    };
    await run(LEAVE_SCRIPT);
    const joined = groups.members(TEST_ID).size > 0;
    groups.kill(TEST_ID);
    for (let tries = 0; groups.members(TEST_ID).size > 0 && tries < 100; tries += 1)
      await pause(10);
    const ended = groups.members(TEST_ID).size === 0;
    await run(FILL_SCRIPT);
    const held = groups.figures(TEST_ID)?.isOverMemory === true;
    groups.kill(TEST_ID);
    if (!joined || !ended || !held)
      throw new TypeError(`joined: ${joined}, ended: ${ended}, held to its memory: ${held}`);
  } finally {
    await groups.remove(TEST_ID);
  }
}
