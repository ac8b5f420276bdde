import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EMPTY_TREE, type TreeRef } from '../../core/data/manifest.ts';
import { encodeManifest } from '../../core/data/manifest-codec.ts';
import { GridError } from '../../core/errors.ts';
import type { AttemptId } from '../../core/ids.ts';
import type { JobSpec } from '../../core/job/spec.ts';
import { ensureDirectory } from '../../service/directories.ts';
import { type ChunkStore, sha256 } from '../../service/staging/chunk-store.ts';
import { errnoOf } from '../../service/staging/file-errors.ts';
import { sendTree, type TransferProgress } from '../../service/staging/send-tree.ts';
import { takeBack } from '../accounts/hand-over.ts';
import type { Verdict } from '../attempts/outcome.ts';
import { type FoundOutputs, findOutputs } from './output-globs.ts';
import { placeStreams, STREAMS, streamSizes } from './streams.ts';

/** What staging needs to know of an attempt. */
export interface StagedAttempt {
  readonly id: AttemptId;
  readonly jobId: string;
  readonly directory: string;
  readonly spec: JobSpec;
  readonly inputs: TreeRef;
  /** Outputs of other jobs, with the place where they are wanted. */
  readonly inputTrees: readonly { readonly tree: TreeRef; readonly to: string }[];
  /** Bytes that stage-in fetched over the network. */
  bytesIn: number;
}

type OnProgress = (progress: TransferProgress) => void;

/** What became of the outputs. */
interface StagedOut {
  readonly outputs: TreeRef;
  readonly bytesOut: number;
  /** An output that the job promised and did not make. */
  readonly problem?: Pick<Verdict, 'failure' | 'reason' | 'detail'>;
}

/** Moves the inputs and outputs of attempts. Failures are GridErrors. */
export interface AttemptStaging {
  /** Puts the inputs in place; gives the bytes that came over the network. */
  stageIn(attempt: StagedAttempt, signal: AbortSignal, onProgress?: OnProgress): Promise<number>;
  /** Sends what the globs match and both streams; `strict` minds a glob that matches nothing. */
  stageOut(attempt: StagedAttempt, strict: boolean, signal: AbortSignal): Promise<StagedOut>;
  /** What keeps the files of an attempt from moving, and since when; '' where nothing does. */
  waitsFor(attempt: Pick<StagedAttempt, 'id' | 'spec'>): string;
  /** Whether a server elsewhere sends nothing, which keeps nobody but this attempt waiting. */
  isKeptElsewhere(attempt: Pick<StagedAttempt, 'id'>): boolean;
}

export interface StagingParts {
  /** The chunks of a VO. */
  readonly storeOf: (vo: string) => ChunkStore;
  /** Puts all that an attempt wants into a directory; tells what came over the network and which files it made. */
  readonly fetch: (
    attempt: StagedAttempt,
    into: string,
    signal: AbortSignal,
    onProgress?: OnProgress,
  ) => Promise<{ readonly bytes: number; readonly files: readonly string[] }>;
  readonly waitsFor: AttemptStaging['waitsFor'];
  readonly isKeptElsewhere: AttemptStaging['isKeptElsewhere'];
}

export function openAttemptStaging({ storeOf, fetch, ...waits }: StagingParts): AttemptStaging {
  return {
    ...waits,
    stageIn: async (attempt, signal, onProgress) => {
      const { directory } = attempt;
      const fetched = await fetch(attempt, join(directory, 'work'), signal, onProgress);
      await writeFile(join(directory, 'inputs'), JSON.stringify(fetched.files));
      return fetched.bytes;
    },
    stageOut: async ({ directory, spec }, strict, signal) => {
      await takeBack(directory);
      const isSilent = streamSizes(directory).every((size) => size === 0);
      if (isSilent && spec.outputs.length === 0) return { outputs: SILENT_TREE, bytesOut: 0 };
      const work = join(directory, 'work');
      // A task may have removed its own directory.
      ensureDirectory(work);
      const { files, missing, ...refused } = await lookForOutputs(directory, spec);
      const problem = { ...(strict ? missingOutput(missing) : {}), ...refused };
      if (files.length === 0 && isSilent) return { outputs: SILENT_TREE, bytesOut: 0, ...problem };
      const streams = await placeStreams(directory);
      const store = storeOf(spec.vo);
      const send = async (paths: readonly string[]): Promise<StagedOut> => {
        const what = { root: work, paths: [...paths, ...streams] };
        const sent = await sendTree(store, what, { signal });
        return { outputs: sent.tree, bytesOut: sent.sentBytes };
      };
      try {
        return { ...(await send(files)), ...problem };
      } catch (error) {
        const unsent = unsendable(error);
        // What the task said may tell why its outputs are as they are.
        return { ...(await send([])), ...unsent };
      }
    },
  };
}

/** The outputs; where they are the job's own fault there are none. */
async function lookForOutputs(
  directory: string,
  spec: JobSpec,
): Promise<FoundOutputs & Pick<StagedOut, 'problem'>> {
  try {
    return await findOutputs(
      join(directory, 'work'),
      spec.outputs,
      await stagedIn(directory, spec),
    );
  } catch (error) {
    return { files: [], missing: [], ...unsendable(error) };
  }
}

/** Why a file cannot be read that its task has left so; another reason may be the machine's. */
const LEFT_SO: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'ELOOP', 'ENAMETOOLONG']);

/**
 * Outputs that are the job's own fault: a link that leads out, a pipe, a name that no tree can have, what may not be read.
 * Throws every other error.
 */
function unsendable(error: unknown): Required<Pick<StagedOut, 'problem'>> {
  if (!(error instanceof GridError)) throw error;
  const { code, cause, message } = error;
  const isOwn =
    code === 'PATH_REFUSED' || (code === 'FILE_UNREADABLE' && LEFT_SO.has(errnoOf(cause)));
  if (!isOwn) throw error;
  return { problem: { failure: 'job', reason: 'OUTPUT_REFUSED', detail: message } };
}

function missingOutput(globs: readonly string[]): Pick<StagedOut, 'problem'> {
  if (globs.length === 0) return {};
  const names = globs.map((glob) => `'${glob}'`).join(', ');
  const detail = `the program ended well, but left nothing that matches ${names}`;
  return { problem: { failure: 'job', reason: 'OUTPUT_MISSING', detail } };
}

/** Files that stage-in put there. */
export async function stagedIn(directory: string, spec: JobSpec): Promise<ReadonlySet<string>> {
  if (spec.inputs.length === 0) return new Set();
  const text = await readFile(join(directory, 'inputs'), 'utf8').catch(() => '[]');
  const files: unknown = JSON.parse(text);
  return new Set(Array.isArray(files) ? files.map(String) : []);
}

/** The tree of a task that made nothing and said nothing; it needs no chunk, so it costs no network. */
const SILENT_TREE: TreeRef = silentTree();

function silentTree(): TreeRef {
  const digest = sha256(new Uint8Array(0));
  const manifest = encodeManifest({
    entries: STREAMS.map((name) => ({
      kind: 'file' as const,
      path: `.grid/${name}`,
      mode: 0o644,
      sizeBytes: 0,
      digest,
      slices: [],
    })),
  });
  return { ...EMPTY_TREE, digest: sha256(manifest), files: STREAMS.length, manifest };
}
