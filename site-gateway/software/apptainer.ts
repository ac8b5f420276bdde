import { join } from 'node:path';
import { parseImage } from '../../core/job/image.ts';
import { bindOf, type ImageTask, imageName, type Runtime } from './image-task.ts';
import { AT_HOME } from './podman.ts';

/**
 * `apptainer exec`, of version 1.1 or newer, which stays the parent of all that it runs. The task's environment passes but
 * for PATH, which is the image's own. Its cache lies in the home of the account, which is not that of the task.
 */
export function apptainerWords(runtime: Runtime, task: ImageTask): readonly string[] {
  const { directory, network, command, image } = task;
  const work = join(directory, 'work');
  const name = imageName(task);
  return [
    '/bin/sh',
    '-c',
    `${AT_HOME}exec "$@"`,
    'grid-image',
    runtime.program,
    'exec',
    ...'--contain --pid --ipc --no-privs --no-eval'.split(' '),
    ...(network === 'none' ? ['--net', '--network=none'] : []),
    `--home=${work}`,
    `--mount=${bindOf(directory, 'work')}`,
    `--mount=${bindOf(directory, 'tmp')}`,
    `--pwd=${work}`,
    ...runtime.args,
    parseImage(image)?.kind === 'registry' ? `docker://${name}` : name,
    ...command,
  ];
}
