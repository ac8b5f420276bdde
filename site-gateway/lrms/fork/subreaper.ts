import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Log } from '../../../service/log.ts';

/** Where every Linux has its own programs; the PATH of the gateway may have others of these names. */
const FOLDERS = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'];

/** Full path of a program of the system; undefined where it is not installed. */
export const systemProgram = (name: string): string | undefined =>
  FOLDERS.map((folder) => join(folder, name)).find((file) => existsSync(file));

/** What the kernel calls `prctl`, by the architecture: perl has no name for it without a package of its own. */
const PRCTL: Partial<Record<NodeJS.Architecture, number>> = {
  x64: 157,
  arm64: 167,
  riscv64: 167,
  loong64: 167,
  ppc64: 171,
  s390x: 172,
};
/** PR_SET_CHILD_SUBREAPER. */
const ORDER = 36;
const TEST_MS = 10_000;

/**
 * Words before a program that make it the parent of all that descends from it and has lost its own, whatever session and
 * environment that has: then nothing that a task makes gets away from its shell. Neither a shell nor Node can ask the
 * kernel for that, but perl and Python can. None, and a word in the log, where both are missing.
 */
export async function subreaperWords(
  log: Log,
  programOf = systemProgram,
): Promise<readonly string[]> {
  for (const words of candidates(programOf)) {
    const [program = '', ...args] = words;
    try {
      await promisify(execFile)(program, [...args, '/bin/sh', '-c', ':'], {
        env: {},
        timeout: TEST_MS,
      });
      return words;
    } catch (error) {
      log.info({ err: error }, 'a program that was to make subreapers cannot');
    }
  }
  log.warn(
    'neither perl nor python3 can make subreapers here: in the class account, without control groups, a process that leaves its session, its parents and its environment outlives its task',
  );
  return [];
}

function candidates(programOf: typeof systemProgram): readonly (readonly string[])[] {
  const [perl, python, prctl] = [programOf('perl'), programOf('python3'), PRCTL[process.arch]];
  const byPerl = `syscall(${prctl}, ${ORDER}, 1, 0, 0, 0) == 0 or die $!; exec @ARGV`;
  // Python ignores these two, and so would all of the task.
  const byPython = `import ctypes, os, signal, sys
for one in (signal.SIGPIPE, signal.SIGXFSZ): signal.signal(one, signal.SIG_DFL)
if ctypes.CDLL(None).prctl(${ORDER}, 1, 0, 0, 0): sys.exit(1)
os.execv(sys.argv[1], sys.argv[1:])`;
  return [
    ...(perl === undefined || prctl === undefined ? [] : [[perl, '-e', byPerl]]),
    ...(python === undefined ? [] : [[python, '-I', '-S', '-c', byPython]]),
  ];
}
