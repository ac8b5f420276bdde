import { isAbsolute, relative, resolve } from 'node:path';
import { isRemoteInput } from '../../core/data/remote-file.ts';
import { GridError, type Problem } from '../../core/errors.ts';
import type { Path } from '../../core/job/parse-value.ts';
import { isRecord } from '../../core/job/parse-value.ts';
import { isFileInput } from '../../core/job/spec.ts';
import { isGlob, parsePath } from '../../core/job/spec-path.ts';
import type { WrittenJob } from '../../service/documents/job-file.ts';
import type { Env } from '../config.ts';
import type { Input } from '../input.ts';

/** Keys of a job that a flag of the same name sets. */
const PLAIN = [
  'name',
  'cpus',
  'memory',
  'gpus',
  'gpu-model',
  'disk',
  'nodes',
  'walltime',
  'array',
  'max-running',
  'inputs-as',
  'stdin',
  'requirements',
  'rank',
  'retries',
  'retry-memory',
  'vo',
  'group',
  'on-lost',
  'sandbox',
  'network',
  'image',
] as const;
/** Those that have a value where they are given: an empty one is a variable of a script that was not set, and what it demands would be lost. */
const NEVER_EMPTY = [
  'cpus',
  'memory',
  'gpus',
  'disk',
  'nodes',
  'walltime',
  'array',
  'max-running',
  'retries',
  'retry-memory',
  'gpu-model',
  'inputs-as',
  'stdin',
  'group',
  'sandbox',
  'network',
  'image',
];
/** Keys whose flags may come several times; they add to the file's. */
const ADDING = [
  ['outputs', 'output'],
  ['after', 'after'],
  ['modules', 'module'],
] as const;
/** Keys whose flags may come several times; they replace the file's. */
const REPLACING = [
  ['sites', 'site'],
  ['exclude-sites', 'exclude-site'],
] as const;

/** What the flags are read against. */
export interface FlagContext {
  readonly cwd: string;
  readonly env: Env;
}

/** A job with the flags laid over it: single values win over the file's, lists and sets are added. */
export function withFlags(job: WrittenJob, input: Input, context: FlagContext): WrittenJob {
  const file = isRecord(job.raw) ? job.raw : {};
  if (job.raw !== undefined && !isRecord(job.raw)) return job;
  const raw: Record<string, unknown> = { ...file };
  const fromFlag = new Map<string, string>();
  const set = (key: string, value: unknown, flag: string): void => {
    raw[key] = value;
    fromFlag.set(key, flag);
  };
  for (const key of PLAIN) {
    const value = input.text(key);
    if (value !== undefined) set(key, value, `--${key}`);
  }
  for (const [key, flag] of REPLACING) {
    const values = input.list(flag);
    if (values.length > 0) set(key, values, `--${flag}`);
  }
  const added = new Map<string, readonly { readonly first: number; readonly flag: string }[]>();
  const add = (key: string, values: readonly unknown[], flag: string): void => {
    if (values.length === 0) return;
    const earlier = itemsOf(raw[key]);
    raw[key] = [...earlier, ...values];
    added.set(key, [{ first: earlier.length, flag: `--${flag}` }, ...(added.get(key) ?? [])]);
  };
  for (const [key, flag] of ADDING) add(key, input.list(flag), flag);
  const live = input.list('live-output').map((path) => ({ path, live: true }));
  add('outputs', live, 'live-output');
  add('inputs', inputsOf(input, job.base, context.cwd), 'input');
  const merged = new Map<string, Readonly<Record<string, string>>>();
  const merge = (key: string, values: Readonly<Record<string, string>>): void => {
    if (Object.keys(values).length === 0) return;
    raw[key] = { ...(isRecord(file[key]) ? file[key] : {}), ...values };
    merged.set(key, values);
  };
  merge('env', variablesOf(input, context.env));
  merge('licences', licencesOf(input));
  if (input.rest.length > 0) set('command', input.rest, '--');
  const where = (path: Path, about?: 'key', offset = 0): string => {
    const [root = '', index = 0] = path;
    const flag = fromFlag.get(String(root));
    if (flag !== undefined) return offset > 0 ? `${flag}:${offset + 1}` : flag;
    if (Object.hasOwn(merged.get(String(root)) ?? {}, String(path[1])))
      return root === 'licences' ? '--licence' : '--env';
    const more = added.get(String(root))?.find(({ first }) => Number(index) >= first);
    if (more !== undefined) return more.flag;
    return job.where(path, about, offset);
  };
  const problems = [...(job.problems ?? []), ...emptyFlags(input)];
  return { ...job, raw, problems, where };
}

const emptyFlags = (input: Input): readonly Problem[] => {
  const lists = [...ADDING, ...REPLACING].map(([, flag]) => flag);
  const empty = [
    ...NEVER_EMPTY.filter((flag) => input.text(flag) === ''),
    ...lists.filter((flag) => input.list(flag).includes('')),
  ];
  return empty.map((flag) => ({
    where: `--${flag}`,
    message: 'the value is empty: give one or no flag',
  }));
};

/** A job of flags alone. */
export const emptyJob = (cwd: string): WrittenJob => ({
  raw: undefined,
  base: cwd,
  where: () => '',
});

const itemsOf = (value: unknown): readonly unknown[] =>
  value === undefined || value === null || value === ''
    ? []
    : Array.isArray(value)
      ? value
      : [value];

/** `FROM` or `FROM=TO`; paths are seen from the current directory and become relative to the job's. */
function inputsOf(input: Input, base: string, cwd: string): readonly unknown[] {
  return input.list('input').map((text) => {
    if (isRemoteInput(text)) return text;
    const cut = text.indexOf('=');
    const from = cut === -1 ? text : text.slice(0, cut);
    const stays = base === cwd || !isFileInput(from) || isAbsolute(from);
    const moved = stays ? from : relative(base, resolve(cwd, from)) || '.';
    if (cut !== -1) return { from: moved, to: text.slice(cut + 1) };
    // A plain path keeps the name under which the user sees it, where the job's directory is another.
    const keeps = moved !== from && !isGlob(from) && parsePath(from).ok;
    return keeps ? { from: moved, to: from } : moved;
  });
}

/** `NAME=count`, or `NAME` for one. */
function licencesOf(input: Input): Readonly<Record<string, string>> {
  return Object.fromEntries(
    input.list('licence').map((text) => {
      const [, name, count] = /^([^=]*)=?(.*)$/s.exec(text) ?? [];
      return [name ?? '', count === '' ? '1' : (count ?? '')];
    }),
  );
}

/** `NAME=value`, or `NAME` for the caller's own value. */
function variablesOf(input: Input, env: Env): Readonly<Record<string, string>> {
  const pairs = input.list('env').map((text) => {
    const cut = text.indexOf('=');
    if (cut !== -1) return [text.slice(0, cut), text.slice(cut + 1)] as const;
    const value = env[text];
    if (value === undefined)
      throw new GridError('USAGE', `--env ${text}: there is no such variable here`);
    return [text, value] as const;
  });
  return Object.fromEntries(pairs);
}
