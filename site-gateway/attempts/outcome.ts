import { accessSync, constants, statSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { EMPTY_TREE } from '../../core/data/manifest.ts';
import type { ErrorCode, GridError } from '../../core/errors.ts';
import type { FailureKind, Outcome, Usage } from '../../core/job/outcome.ts';
import { formatBytes, formatDuration } from '../../core/units.ts';
import type { TaskEnd } from '../lrms/lrms.ts';

/** How a task ended in the words of the grid; what was staged is added by the caller. */
export type Verdict = Pick<Outcome, 'exitCode' | 'signal' | 'failure' | 'reason' | 'detail'>;

/** What is needed to say why a command was not found. */
export interface CommandFacts {
  readonly program: string;
  /** PATH of the task. */
  readonly path: string;
  /** The task's directory. */
  readonly cwd: string;
}

export const NO_USAGE: Usage = {
  cpuMs: 0,
  wallMs: 0,
  peakMemoryBytes: 0,
  bytesIn: 0,
  bytesOut: 0,
};

/** An attempt that failed without an exit code. */
export function failed(failure: FailureKind, reason: string, detail: string): Outcome {
  return {
    exitCode: 0,
    signal: 0,
    failure,
    reason,
    detail,
    usage: NO_USAGE,
    outputs: EMPTY_TREE,
  };
}

/** Whose fault an error on the way is; the data's where it is not here. */
const FAULTS: Readonly<Partial<Record<ErrorCode, FailureKind>>> = {
  DISK_FULL: 'site',
  INPUT_MISSING: 'job',
  FETCH_MISMATCH: 'job',
  NAMES_COLLIDE: 'job',
  FETCH_TOO_LARGE: 'job',
  FETCH_DENIED: 'credential',
};

/** An attempt that met a refusal before or after its program. */
export const failedBy = ({ code, message }: GridError): Outcome =>
  failed(FAULTS[code] ?? 'data', code, message);

/** `command` is left out where its program was not looked for at the site itself. */
export function verdictOf(end: TaskEnd, command?: CommandFacts): Verdict {
  switch (end.kind) {
    case 'exited':
      return withLeftovers(exitVerdict(end.exitCode, command), end.leftBehind);
    case 'limit':
      return withLeftovers(limitVerdict(end), end.leftBehind);
    case 'vanished':
      return problem('site', end.reason, end.detail);
    case 'not-started':
      return problem(end.fault, end.reason, end.detail);
    default:
      return end satisfies never;
  }
}

const problem = (failure: FailureKind, reason: string, detail: string): Verdict => ({
  exitCode: 0,
  signal: 0,
  failure,
  reason,
  detail,
});

function exitVerdict(exitCode: number, command: CommandFacts | undefined): Verdict {
  if (exitCode === 0) return { exitCode, signal: 0, reason: '', detail: '' };
  const fail = (reason: string, detail: string, signal = 0): Verdict => ({
    exitCode,
    signal,
    failure: 'job',
    reason,
    detail,
  });
  const isRefused = exitCode === 127 || exitCode === 126;
  const where = isRefused && command !== undefined ? findProgram(command) : 'runs';
  if (where === 'missing')
    return fail('COMMAND_NOT_FOUND', `'${command?.program}' was not found at the site`);
  if (where === 'not-executable')
    return fail('COMMAND_NOT_EXECUTABLE', `'${command?.program}' is there but cannot be executed`);
  const signal = exitCode - 128;
  const name = signalName(signal);
  if (name !== undefined) return fail('KILLED_BY_SIGNAL', `${name} ended the program`, signal);
  const hint = exitCode === 127 ? ' (often: a command inside it was not found)' : '';
  return fail('EXIT_NONZERO', `the program ended with exit code ${exitCode}${hint}`);
}

function limitVerdict(end: Extract<TaskEnd, { kind: 'limit' }>): Verdict {
  const { exitCode, measured, allowed } = end;
  const signal = signalName(exitCode - 128) === undefined ? 0 : exitCode - 128;
  const common = { exitCode, signal, failure: 'limit' } as const;
  const asked = `${formatBytes(allowed)} were asked for`;
  switch (end.limit) {
    case 'walltime':
      return {
        ...common,
        reason: 'WALLTIME_EXCEEDED',
        detail: `it ran for its walltime of ${formatDuration(allowed)} and was ended`,
      };
    case 'memory':
      return {
        ...common,
        reason: 'MEMORY_EXCEEDED',
        detail: `it used ${formatBytes(measured)} of memory${measured > allowed ? '' : ' and wanted more'}, ${asked}`,
      };
    case 'disk':
      return {
        ...common,
        reason: 'DISK_EXCEEDED',
        detail: `its directory held ${formatBytes(measured)}, ${asked}`,
      };
    default:
      return end.limit satisfies never;
  }
}

function withLeftovers(verdict: Verdict, names: readonly string[]): Verdict {
  if (names.length === 0) return verdict;
  const count = names.length === 1 ? '1 process' : `${names.length} processes`;
  const shown = [...new Set(names)].slice(0, 10).join(', ');
  const words = `${count} left behind ${names.length === 1 ? 'was' : 'were'} ended: ${shown}`;
  return { ...verdict, detail: verdict.detail === '' ? words : `${verdict.detail}; ${words}` };
}

/** `SIGKILL` for 9; undefined for a number that is no signal. */
function signalName(signal: number): string | undefined {
  return Object.entries(osConstants.signals).find(([, number]) => number === signal)?.[0];
}

/** What `exec` would have met; looked at afterwards, and only when the exit code suggests it. */
function findProgram({ program, path, cwd }: CommandFacts): 'runs' | 'missing' | 'not-executable' {
  const places = program.includes('/')
    ? [isAbsolute(program) ? program : resolve(cwd, program)]
    : path.split(delimiter).map((folder) => join(resolve(cwd, folder), program));
  const files = places.filter(
    (place) => statSync(place, { throwIfNoEntry: false })?.isFile() === true,
  );
  if (files.length === 0) return 'missing';
  return files.some(isExecutable) ? 'runs' : 'not-executable';
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
