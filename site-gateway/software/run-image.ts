import { apptainerWords } from './apptainer.ts';
import { SOFTWARE_EXIT_CODE } from './exit-code.ts';
import { divide, type ImageTask, type Runtime } from './image-task.ts';
import { podmanRemoval, podmanWords } from './podman.ts';

/** What the batch system runs in place of the command, and in which environment. */
export interface Encased {
  readonly command: readonly string[];
  readonly env: ImageTask['env'];
  /** Where the program's processes are found. */
  readonly boxed: 'below' | 'beside';
  /** Removes what a task that was killed has left with the runtime. */
  readonly afterwards?: readonly string[];
}

/** A site that has lost its runtime since it took the task says so in place of the program. */
export function inImage(runtime: Runtime | undefined, task: ImageTask): Encased {
  const { shared, own } = divide(task.env);
  if (runtime === undefined) return { command: withoutRuntime(task), env: shared, boxed: 'below' };
  if (runtime.name === 'podman') {
    const command = podmanWords(runtime, task, { shared, own });
    const afterwards = podmanRemoval(runtime, task);
    return { command, env: shared, boxed: 'beside', afterwards };
  }
  const handed = Object.entries(own)
    .filter(([name]) => name !== 'HOME' && name !== 'PWD')
    .map(([name, value]) => [`APPTAINERENV_${name}`, value]);
  const command = apptainerWords(runtime, task);
  return { command, env: { ...shared, ...Object.fromEntries(handed) }, boxed: 'below' };
}

const withoutRuntime = ({ image }: ImageTask): readonly string[] => [
  '/bin/sh',
  '-c',
  `echo "grid: image '$1' could not be run: the site has no containers any more" >&2; exit ${SOFTWARE_EXIT_CODE}`,
  'grid-image',
  image,
];
