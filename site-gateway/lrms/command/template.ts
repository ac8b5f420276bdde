import * as z from 'zod';
import { duration } from '../../../service/config.ts';
import { faultsOf, type Known, placeholdersOf, type Words } from './words.ts';

/** What a template says about a batch system: the schema of its YAML file. docs/lrms.md explains every key. */

/** What a task needs, and the placeholders that say it to the batch system. */
const NEEDS = {
  cpus: ['cpus', 'total-cpus'],
  memory: ['memory-bytes', 'memory-kib', 'memory-mib', 'total-memory-mib'],
  walltime: ['walltime-seconds', 'walltime-minutes', 'walltime-clock'],
  nodes: ['nodes', 'total-cpus'],
  gpus: ['gpus'],
} as const;

/** Who asks. */
const ACCOUNT = ['user', 'uid'];
const SUBMIT: Known = {
  always: [
    'script',
    'directory',
    'task',
    'name',
    'count',
    ...NEEDS.cpus,
    ...NEEDS.memory,
    'nodes',
    ...ACCOUNT,
  ],
  sometimes: ['index', 'array', ...NEEDS.walltime, ...NEEDS.gpus, 'queue', 'account', 'extra-args'],
};

/** Better than 'expected object, received undefined'. */
const MISSING = {
  error: ({ input }: { readonly input?: unknown }) =>
    input === undefined ? 'is missing' : undefined,
};
const section = <S extends z.ZodRawShape>(shape: S) => z.strictObject(shape, MISSING);

const WORD = 'must be a word or a list of words: put numbers into quotes';
const word = () => z.string(WORD).min(1);

/** The words of a command; `required` are placeholders of which one each has to be there. */
const command = (known: Known, required: readonly (readonly string[])[]) =>
  z
    .array(z.union([word(), z.array(word()).min(1)], WORD), MISSING)
    .min(1)
    .superRefine((words: Words, context) => {
      for (const fault of faultsOf(words, known)) context.addIssue(fault);
      const used = placeholdersOf(words);
      for (const names of required)
        if (!names.some((name) => used.has(name)))
          context.addIssue(
            `a placeholder is missing: ${names.map((name) => `{${name}}`).join(' or ')}`,
          );
    });

/** A regular expression of JavaScript; `groups` are named groups that it has to have. */
const pattern = (...groups: readonly string[]) =>
  z
    .string(MISSING)
    .min(1)
    .transform((text, context) => {
      try {
        const names = groupsOf(text);
        for (const name of groups)
          if (!names.includes(name)) context.addIssue(`the group (?<${name}>...) is missing`);
        return new RegExp(text, 'm');
      } catch (error) {
        context.addIssue(error instanceof Error ? error.message : String(error));
        return /(?!)/;
      }
    });

/** Names of the groups of a regular expression. */
const groupsOf = (text: string): readonly string[] =>
  Object.keys(new RegExp(`${text}|`).exec('')?.groups ?? {});

/** What can be read of a job; the first three have to be there. */
const FIELDS = ['job', 'name', 'state', 'index', 'reason', 'cputime', 'walltime', 'peak'] as const;
const REQUIRED = FIELDS.slice(0, 3);
export type Field = (typeof FIELDS)[number];

const listing = {
  line: pattern(...REQUIRED).optional(),
  record: pattern().optional(),
  fields: z.partialRecord(z.enum(FIELDS), pattern()).optional(),
  unfold: z.boolean().default(false),
  ignore: pattern().optional(),
  none: pattern().optional(),
  timeout: duration().prefault('20s'),
};
type Forms = {
  readonly line?: unknown;
  readonly record?: unknown;
  readonly fields?: object | undefined;
};

const oneForm = ({ line, record, fields }: Forms, context: z.RefinementCtx): void => {
  if ((line === undefined) === (record === undefined))
    context.addIssue('it needs `line`, or `record` with `fields`, and not both');
  if ((record === undefined) !== (fields === undefined))
    context.addIssue('`record` and `fields` belong together');
  if (fields === undefined) return;
  for (const name of REQUIRED)
    if (!(name in fields))
      context.addIssue({ code: 'custom', path: ['fields'], message: `${name} is missing` });
};

const jobsOf = z
  .array(command({ always: ['jobs', 'job', ...ACCOUNT], sometimes: [] }, [['jobs', 'job']]))
  .min(1);

export const TEMPLATE = z
  .strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z][\w .+-]{0,39}$/, 'must be a name such as PBS')
      .describe('the batch system, as people call it'),
    away: pattern().describe('by this commands say that they do not reach it'),
    ignores: z.array(z.enum(['cpus', 'memory', 'walltime', 'nodes', 'gpus'])).default([]),
    submit: section({
      run: command(SUBMIT, [['script'], ['directory'], ['task']]),
      job: pattern('id'),
      'job-name': z.string().min(1).default('{id}'),
      refused: pattern(),
      full: pattern().optional(),
      timeout: duration().prefault('30s'),
    }),
    array: z
      .strictObject({
        most: z.int().min(2).max(1_000_000),
        'index-variable': z.string().regex(/^[A-Za-z_]\w*$/, 'must be the name of a variable'),
        'job-name': z.string().min(1).default('{id}_{index}'),
      })
      .optional(),
    poll: section({
      run: command({ always: ACCOUNT, sometimes: [] }, []),
      ...listing,
    }).superRefine(oneForm),
    states: section({
      waits: pattern(),
      suspended: pattern().optional(),
      over: pattern().optional(),
    }),
    autopsy: z
      .strictObject({
        run: command({ always: ['jobs', 'job', 'names', 'name', ...ACCOUNT], sometimes: [] }, [
          ['jobs', 'job', 'names', 'name'],
        ]),
        ...listing,
      })
      .superRefine(oneForm)
      .optional(),
    ends: z
      .strictObject({
        walltime: pattern().optional(),
        memory: pattern().optional(),
        cancelled: pattern().optional(),
        'node-failed': pattern().optional(),
      })
      .default({}),
    cancel: section({
      term: jobsOf,
      kill: jobsOf,
      timeout: duration().prefault('20s'),
    }),
  })
  .superRefine(({ submit, array, ignores }, context) => {
    const used = placeholdersOf(submit.run);
    const fault = (path: readonly string[], message: string): void =>
      context.addIssue({ code: 'custom', path: [...path], message });
    for (const [need, names] of Object.entries(NEEDS)) {
      const isTold = names.some((name) => used.has(name));
      const isIgnored = ignores.some((one) => one === need);
      const placeholders = names.map((name) => `{${name}}`).join(' or ');
      if (!isTold && !isIgnored)
        fault(
          ['submit', 'run'],
          `a placeholder is missing: ${placeholders}; where the batch system cannot be told, list '${need}' under \`ignores\``,
        );
      if (isTold && isIgnored) fault(['ignores'], `'${need}' is told by ${placeholders}`);
    }
    if (array !== undefined && !used.has('array') && !used.has('count'))
      fault(['submit', 'run'], 'a placeholder is missing: {array} or {count}, as there is `array`');
    if (array === undefined && used.has('array'))
      fault(['submit', 'run'], '{array} needs the section `array`');
  });

/** A template that was read and found whole. */
export type CommandTemplate = z.output<typeof TEMPLATE>;
/** How a listing is read. */
export type Listing = Omit<NonNullable<CommandTemplate['autopsy']>, 'run'>;
