import { join } from 'node:path';
import { linkProblem } from '../../core/data/paths.ts';
import { GridError } from '../../core/errors.ts';
import { anyDisk } from '../../service/staging/disk/disk.ts';
import type { Found } from '../../service/staging/walk.ts';
import { findOutputs } from '../staging/output-globs.ts';
import { type StagedAttempt, stagedIn } from '../staging/staging.ts';
import { MAX_STREAM_BYTES, STREAMS, streamSize } from '../staging/streams.ts';

/** What the live outputs of a task are now, as files below its attempt's directory. */
export interface LiveFiles {
  readonly found: readonly Found[];
  /** Why only the streams are there; empty where all is well. */
  readonly trouble: string;
}

const WORK = 'work/';

/**
 * Looks at the live outputs and both streams of a task that runs. What no tree can have leaves the streams alone, as it
 * will at the end of the task. Files are taken as long as they are now; a stream is cut where it is too long to be kept.
 */
export async function findLiveFiles({ directory, spec }: StagedAttempt): Promise<LiveFiles> {
  const streams = await streamsOf(directory);
  const globs = spec.liveOutputs ?? [];
  const inputs = await stagedIn(directory, spec);
  const look = (paths: readonly string[]): Promise<readonly Found[]> =>
    anyDisk().walk({ root: directory, paths: [...paths, ...streams] });
  try {
    const { files } = await findOutputs(join(directory, 'work'), globs, inputs);
    const found = await look(files.map((path) => WORK + path));
    return { found: found.map(inTree), trouble: '' };
  } catch (error) {
    if (!(error instanceof GridError) || error.code !== 'PATH_REFUSED') throw error;
    const found = await look([]);
    return { found: found.map(inTree), trouble: `${error.code}: ${error.message}` };
  }
}

async function streamsOf(directory: string): Promise<readonly string[]> {
  const there = STREAMS.map(async (name) => {
    return (await streamSize(directory, name)) === undefined ? [] : [name];
  });
  return (await Promise.all(there)).flat();
}

/** As it stands in the tree: what is below `work/` at the top, the streams below `.grid/`. */
function inTree(entry: Found): Found {
  const isOutput = entry.path.startsWith(WORK);
  const path = isOutput ? entry.path.slice(WORK.length) : `.grid/${entry.path}`;
  if (entry.kind === 'file') {
    const most = isOutput ? entry.sizeBytes : MAX_STREAM_BYTES;
    const sizeBytes = Math.min(entry.sizeBytes, most);
    return { ...entry, path, from: entry.path, isGrowing: true, sizeBytes };
  }
  const problem = entry.kind === 'link' ? linkProblem(path, entry.target) : undefined;
  if (problem !== undefined)
    throw new GridError('PATH_REFUSED', `path ${JSON.stringify(path)} is a link that ${problem}`);
  return { ...entry, path };
}
