import { join } from 'node:path';
import { parseImage } from '../../core/job/image.ts';
import type { Network } from '../../core/job/sandbox.ts';
import { isOfShells } from '../lrms/task-environment.ts';

/** What a site runs images with. */
export interface Runtime {
  readonly name: 'podman' | 'apptainer';
  /** A path, or a name that is looked for on the node. */
  readonly program: string;
  /** Of the site, for `podman run` or `apptainer exec`. */
  readonly args: readonly string[];
}

/** A task that runs in an image. */
export interface ImageTask {
  readonly id: string;
  readonly directory: string;
  readonly image: string;
  readonly network: Network;
  readonly command: readonly string[];
  /** All that the program is to find in its environment; PATH only where it is not the image's own. */
  readonly env: Readonly<Record<string, string>>;
}

/** Variables by which a job would speak to the runtime, or to its loader, and not to its program; shells have more. */
const OF_RUNTIME =
  /^(?:PATH|HOME|PWD|TMPDIR|TMP|TEMP|ENV|LD_.*|GLIBC_TUNABLES|MALLOC_.*|GCONV_PATH|LOCPATH|NLSPATH|TZDIR|RES_OPTIONS|HOSTALIASES|LOCALDOMAIN|OPENSSL_.*|GNUPGHOME|GO.*|RUST_.*|NETAVARK_.*|XDG_.*|_?CONTAINERS?_.*|CONTAINER|PODMAN_.*|LIBPOD_.*|BUILDAH_.*|STORAGE_.*|REGISTRY_.*|DOCKER_.*|DBUS_.*|SSL_.*|NOTIFY_SOCKET|LISTEN_.*|APPTAINER.*|SINGULARITY.*|.*_PROXY|.*_proxy)$/;

/** The variables that are for the runtime to hand on unseen, by their names, and those that it must not read itself. */
export function divide(env: ImageTask['env']): {
  readonly shared: ImageTask['env'];
  readonly own: ImageTask['env'];
} {
  const entries = Object.entries(env);
  const isOwn = (name: string): boolean => OF_RUNTIME.test(name) || isOfShells(name);
  return {
    shared: Object.fromEntries(entries.filter(([name]) => !isOwn(name))),
    own: Object.fromEntries(entries.filter(([name]) => isOwn(name))),
  };
}

/** Mounts a directory of the task at its own path; a field may hold commas where it is quoted. */
export const bindOf = (directory: string, name: 'work' | 'tmp'): string => {
  const folder = join(directory, name);
  const field = (text: string): string =>
    /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  return ['type=bind', field(`src=${folder}`), field(`dst=${folder}`)].join(',');
};

/** The image as the runtime calls it; a file that is no absolute path lies with the inputs. */
export function imageName({ image, directory }: Pick<ImageTask, 'image' | 'directory'>): string {
  const parsed = parseImage(image);
  if (parsed === undefined) throw new TypeError(`'${image}' is no name of an image`);
  const { kind, name } = parsed;
  return kind === 'registry' || name.startsWith('/') ? name : join(directory, 'work', name);
}
