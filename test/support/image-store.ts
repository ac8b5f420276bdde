import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { needs } from '../setup/needs.ts';

/** Something that runs images, and one image that was made here. */
export interface ImageStore extends Disposable {
  /** The image: busybox with a PATH of its own, `TOOL=7`, and the file `/etc/inside`. */
  readonly image: string;
  /** How its name begins. */
  readonly allowed: string;
  /** An image that there is not, and what comes of it. */
  readonly missing: { readonly image: string; readonly exitCode: number; readonly words: RegExp };
  /** What of the runtime itself counts for a task. */
  readonly ownBytes: number;
  /** Lines of a site's configuration. */
  readonly settings: readonly string[];
  /** Names of the containers that there are, whatever their state. */
  containers(): readonly string[];
}

/** Real podman with a store of its own. */
export interface PodmanStore extends ImageStore {
  /** Where all of it lies. */
  readonly dir: string;
  /** A script that calls podman with that store. */
  readonly podman: string;
}

/** The limits of this process, because not every root may raise them as podman does by itself. */
export const limitsHere = (): readonly string[] => {
  const files = execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim();
  return [`--ulimit=nofile=${files}:${files}`, '--ulimit=nproc=1000:1000'];
};

/** Its own view of the machine: podman wants one kind of control groups, and a machine of tests may have two mounted. */
const scriptFor = (dir: string): string => `#!/bin/sh
exec unshare -m /bin/sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"' sh \\
  ${realProgram('podman')} --root ${dir}/root --runroot ${dir}/run --storage-driver vfs --cgroup-manager cgroupfs "$@"
`;

function realProgram(name: string): string {
  const found = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file));
  if (found === undefined) throw new Error(`there is no ${name}`);
  return realpathSync(found);
}

export function makeImageStore(): PodmanStore {
  // All in one go where the first is missing, as on a machine that has none of them.
  needs('catatonit', 'catatonit', 'podman', 'crun', 'busybox-static');
  needs('podman', 'podman', 'crun');
  needs('crun', 'crun');
  needs('busybox', 'busybox-static');
  const dir = mkdtempSync('/var/tmp/hanse-images-');
  const podman = join(dir, 'bin', 'podman');
  mkdirSync(join(dir, 'bin'));
  writeFileSync(podman, scriptFor(dir), { mode: 0o755 });
  const image = 'localhost/lab/tool:1';
  const changes = [
    'ENV PATH=/bin:/opt/tool',
    'ENV TOOL=7',
    'ENTRYPOINT ["/bin/false"]',
    'USER 1000',
  ];
  execFileSync(podman, [
    'import',
    '--quiet',
    ...changes.flatMap((change) => ['--change', change]),
    makeArchive(dir),
    image,
  ]);
  return {
    image,
    allowed: 'localhost/lab/',
    missing: {
      image: 'localhost/lab/nope:1',
      exitCode: 78,
      words: /^image 'localhost\/lab\/nope:1' could not be fetched on node \S+: Error: .*localhost/,
    },
    dir,
    podman,
    ownBytes: 0,
    settings: [
      'containers:',
      '  runtime: podman',
      `  program: ${podman}`,
      `  args: ${JSON.stringify(limitsHere())}`,
    ],
    containers: () =>
      execFileSync(podman, ['ps', '--all', '--format', '{{.Names}}'], { encoding: 'utf8' })
        .split('\n')
        .filter((name) => name !== ''),
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** The files of the image. */
export function makeArchive(dir: string): string {
  const root = join(dir, 'image');
  for (const folder of ['bin', 'etc', 'opt/tool', 'proc', 'dev', 'sys', 'tmp', 'run'])
    mkdirSync(join(root, folder), { recursive: true });
  const busybox = realProgram('busybox');
  copyFileSync(busybox, join(root, 'bin/busybox'));
  for (const name of librariesOf(busybox)) {
    mkdirSync(join(root, dirname(name)), { recursive: true });
    copyFileSync(name, join(root, name));
  }
  const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n');
  for (const name of applets)
    if (name !== 'busybox') symlinkSync('busybox', join(root, 'bin', name));
  writeFileSync(join(root, 'etc/inside'), 'inside\n');
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\n');
  writeFileSync(join(root, 'opt/tool/plain'), 'no program\n');
  const archive = join(dir, 'image.tar');
  execFileSync('tar', ['-C', root, '-cf', archive, '.']);
  return archive;
}

/** Shared libraries of a program; none where it is static. */
function librariesOf(program: string): readonly string[] {
  try {
    const text = execFileSync('/usr/bin/ldd', [program], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return [...text.matchAll(/(?:=> |^\t)(\/\S+) \(/gm)].map(([, file]) => file ?? '');
  } catch {
    return [];
  }
}
