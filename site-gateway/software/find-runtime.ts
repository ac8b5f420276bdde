import { GridError } from '../../core/errors.ts';
import type { Log } from '../../service/log.ts';
import { openCommandRunner } from '../lrms/batch-command.ts';
import type { Runtime } from './image-task.ts';
import { AT_HOME } from './podman.ts';

/** How a site runs images, as its configuration says. */
interface ContainerSettings {
  /** `auto`: what this machine has, where it runs the tasks itself. */
  readonly runtime: 'auto' | 'none' | Runtime['name'];
  readonly program?: string | undefined;
  readonly args: readonly string[];
}

/** What says in a word that a runtime is there and works. */
const TESTS = {
  podman: ['info', '--format', '{{.Host.OCIRuntime.Name}}'],
  apptainer: ['--version'],
} as const;
const RUNTIMES = ['podman', 'apptainer'] as const;
const TIMEOUT_MS = 30_000;

/**
 * What images are run with. Where the tasks run on this machine (`isHere`) it is tried first: throws TOOL_MISSING for one that
 * the configuration names and that does not work. Other nodes are believed to have what it names.
 */
export async function findRuntime(
  { runtime, program, args }: ContainerSettings,
  { path, isHere, log }: { readonly path: string; readonly isHere: boolean; readonly log: Log },
): Promise<Runtime | undefined> {
  if (runtime === 'none' || (runtime === 'auto' && !isHere)) return undefined;
  const names = runtime === 'auto' ? RUNTIMES : [runtime];
  for (const name of names) {
    const found = { name, program: program ?? name, args };
    const fault = isHere ? await faultOf(found, path) : undefined;
    if (fault === undefined) return found;
    if (runtime !== 'auto')
      throw new GridError(
        'TOOL_MISSING',
        `'containers' names ${name}, which does not work: ${fault}`,
      );
    log.info({ runtime: name, fault }, 'images cannot be run with it');
  }
  return undefined;
}

/** Why a runtime is not to be used, in its own words where it has some; undefined where it is. */
async function faultOf({ name, program }: Runtime, path: string): Promise<string | undefined> {
  const run = openCommandRunner({ PATH: path, HOME: '/' });
  const words = ['-c', `${AT_HOME}exec "$@"`, 'sh', program, ...TESTS[name]];
  try {
    const { ok, stdout, stderr } = await run('/bin/sh', words, TIMEOUT_MS);
    if (!ok) return stderr.trim().split('\n').at(-1)?.slice(-500) ?? '';
    const inner = stdout.trim();
    return name === 'podman' && inner !== 'crun'
      ? `its OCI runtime is ${inner}, and only crun can leave a container in the control group of its task`
      : undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
