import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { GridError } from '../../core/errors.ts';
import type { Log } from '../../service/log.ts';
import { openCommandRunner } from '../lrms/batch/batch-command.ts';
import type { Runtime } from './image-task.ts';
import { AT_HOME, complaintIn, podmanTrial } from './podman.ts';

/** How a site runs images, as its configuration says. */
interface ContainerSettings {
  /** `auto`: what this machine has, where it runs the tasks itself. */
  readonly runtime: 'auto' | 'none' | Runtime['name'];
  readonly program?: string | undefined;
  readonly args: readonly string[];
}

/** What images are run with, or why they are not. */
export interface FoundRuntime {
  readonly runtime: Runtime | undefined;
  /** Why nothing that was tried is used; '' where something is, or nothing was tried. */
  readonly trouble: string;
}

/** Where a runtime is tried. */
interface Place {
  /** PATH of tasks. */
  readonly path: string;
  /** A directory that may be written to. */
  readonly spool: string;
  /** Tasks run on this machine. */
  readonly isHere: boolean;
  /** They run as accounts of their own, and not as the gateway. */
  readonly hasAccounts: boolean;
  readonly log: Log;
}

const RUNTIMES = ['podman', 'apptainer'] as const;
const TIMEOUT_MS = 30_000;
const THERE = `command -v "$1" >/dev/null || { echo "there is no program $1" >&2; exit 2; }
`;
/** The container was made, and has no such program. */
const UP_TO_PROGRAM = '"$@"\n[ "$?" = 127 ]\n';

/**
 * Looks for what images are run with. Where the tasks run on this machine it is tried first: throws TOOL_MISSING for one that
 * the configuration names and that does not work. Other nodes are believed to have what it names.
 */
export async function findRuntime(
  { runtime, program, args }: ContainerSettings,
  place: Place,
): Promise<FoundRuntime> {
  const { isHere, log } = place;
  if (runtime === 'none' || (runtime === 'auto' && !isHere))
    return { runtime: undefined, trouble: '' };
  const faults: string[] = [];
  for (const name of runtime === 'auto' ? RUNTIMES : [runtime]) {
    const found = { name, program: program ?? name, args };
    const fault = isHere ? await faultOf(found, place) : undefined;
    if (fault === undefined) return { runtime: found, trouble: '' };
    if (runtime !== 'auto')
      throw new GridError(
        'TOOL_MISSING',
        `'containers' names ${name}, which does not work: ${fault}`,
      );
    log.info({ runtime: name, fault }, 'images cannot be run with it');
    faults.push(`${name}: ${fault}`);
  }
  return { runtime: undefined, trouble: faults.join('; ') };
}

/** Why a runtime is not to be used, in its own words where it has some; undefined where it is. */
async function faultOf(runtime: Runtime, place: Place): Promise<string | undefined> {
  const run = openCommandRunner({ PATH: place.path, HOME: '/' });
  const directory = mkdtempSync(join(place.spool, 'image-test-'));
  const isWhole = runtime.name === 'podman' && !place.hasAccounts;
  const words = isWhole ? podmanTrial(runtime, rootIn(directory)) : [runtime.program, '--version'];
  const script = `${AT_HOME}${THERE}${isWhole ? UP_TO_PROGRAM : '"$@"'}`;
  try {
    const { ok, stderr } = await run('/bin/sh', ['-c', script, 'sh', ...words], TIMEOUT_MS);
    return ok ? undefined : complaintIn(stderr.split('\n')).slice(-500);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function rootIn(directory: string): string {
  const root = join(directory, 'root');
  mkdirSync(root);
  return root;
}
