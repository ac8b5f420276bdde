import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import * as z from 'zod';
import { pause } from '../../../service/background.ts';
import { errnoOf } from '../../../service/staging/file-errors.ts';
import { findLayout, type GroupLayout, openTree } from './cgroup-layout.ts';

const LAYOUT = z.object({
  isPure: z.boolean(),
  tree: z.string(),
  memory: z.string(),
  pids: z.string(),
});

/** Where the groups of this gateway are; makes what is not there. Throws where they cannot be. */
export function keptLayout(spool: string): GroupLayout {
  const known = knownLayout(spool);
  if (known !== undefined && foldersOf(known).some((folder) => existsSync(folder))) {
    makeFolders(known);
    return known;
  }
  const layout = findLayout(nameFor(spool));
  makeFolders(layout);
  writeFileSync(fileIn(spool), JSON.stringify(layout));
  return layout;
}

const fileIn = (spool: string): string => join(spool, 'control-groups.json');

const nameFor = (spool: string): string =>
  `hanse-${createHash('sha256').update(spool).digest('hex').slice(0, 12)}`;

/** As an earlier run made them. A copy of a spool has the word of the original, whose groups are none of its own. */
function knownLayout(spool: string): GroupLayout | undefined {
  const file = fileIn(spool);
  if (!existsSync(file)) return undefined;
  const layout = LAYOUT.parse(JSON.parse(readFileSync(file, 'utf8')));
  return basename(layout.tree) === nameFor(spool) ? layout : undefined;
}

function makeFolders(layout: GroupLayout): void {
  if (layout.isPure) openTree(layout);
  else for (const folder of foldersOf(layout)) makeGroup(folder);
}

export const foldersOf = ({ tree, memory, pids }: GroupLayout): readonly string[] => [
  ...new Set([tree, memory, pids]),
];

/**
 * Makes a group below one that is there, if it is not there yet. Never with those above it: where the groups of the kernel
 * are not mounted (in a network namespace of its own, for instance) Node's recursive mkdir does not come back.
 */
export function makeGroup(folder: string): void {
  try {
    mkdirSync(folder);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

export function isRemoved(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return errnoOf(error) === 'ENOENT';
  }
}

/** Ends all that is in the group of a task. */
export function killGroup({ tree }: GroupLayout, id: string): void {
  const file = join(tree, id, 'cgroup.kill');
  if (existsSync(file)) writeFileSync(file, '1');
}

const REMOVE_TRIES = 40;
const REMOVE_PAUSE_MS = 25;

/** Removes the group of a task that is empty or about to be. */
export async function removeGroup(layout: GroupLayout, id: string): Promise<void> {
  const folders = foldersOf(layout);
  for (let tries = 0; tries < REMOVE_TRIES; tries += 1) {
    if (folders.map((folder) => isRemoved(join(folder, id))).every(Boolean)) return;
    await pause(REMOVE_PAUSE_MS);
  }
}

/** Ends and removes the groups of tasks that nobody knows, also where this run has none of its own. */
export async function clearGroups(spool: string, isKnown: (id: string) => boolean): Promise<void> {
  const layout = knownLayout(spool);
  if (layout === undefined) return;
  const ids = new Set(foldersOf(layout).flatMap(groupsBelow));
  for (const id of ids) {
    if (isKnown(id)) continue;
    killGroup(layout, id);
    await removeGroup(layout, id);
  }
}

/** Pids in the groups of all tasks of a spool, whatever has become of their parents and their environment. */
export function groupedProcesses(spool: string): ReadonlySet<number> {
  try {
    const { tree = '' } = knownLayout(spool) ?? {};
    return new Set(groupsBelow(tree).flatMap((id) => pidsIn(join(tree, id))));
  } catch {
    // What a crash has cut short is no file of groups.
    return new Set();
  }
}

/** Pids in a group; none where it is gone. */
export function pidsIn(group: string): readonly number[] {
  try {
    return readFileSync(join(group, 'cgroup.procs'), 'utf8').match(/\d+/g)?.map(Number) ?? [];
  } catch {
    return [];
  }
}

const groupsBelow = (folder: string): readonly string[] =>
  existsSync(folder)
    ? readdirSync(folder, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => name)
    : [];
