import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { type ImageStore, makeImageStore } from '../support/image-store.ts';

/** The Apptainer of this machine, with the image of a registry's kind made into a file. */
export function makeApptainerStore(): ImageStore {
  const program = execFileSync('sh', ['-c', 'command -v apptainer'], { encoding: 'utf8' }).trim();
  const podman = makeImageStore();
  const archive = `${podman.dir}/tool.tar`;
  const image = `${podman.dir}/tool.sif`;
  execFileSync(podman.podman, ['save', '--quiet', '--output', archive, podman.image]);
  execFileSync(program, ['--quiet', 'build', image, `docker-archive:${archive}`]);
  rmSync(archive);
  return {
    image,
    allowed: `${podman.dir}/`,
    missing: {
      image: `${podman.dir}/nope.sif`,
      exitCode: 255,
      words: /^the image could not be run: (?:.*: )?could not open image .*nope\.sif/,
    },
    settings: ['containers:', '  runtime: apptainer', `  program: ${program}`],
    ownBytes: 30 * 2 ** 20,
    containers: () => [],
    [Symbol.dispose]: () => podman[Symbol.dispose](),
  };
}
