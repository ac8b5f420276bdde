import type { BatchJob } from '../batch/batch-system.ts';
import { tokenOf } from '../batch/job-name.ts';
import { parseBytes } from './units.ts';
import { childrenOf, findAll, parseXml, textOf, unreadable, type XmlElement } from './xml.ts';

/** What `qstat -xml` prints, read strictly: what is not as expected is no answer. */

/** A job of ours, or tasks of it, as one line of the list has it. */
export interface JobLine {
  readonly number: string;
  readonly token: string;
  /** Name of the account whose job it is. */
  readonly owner: string;
  /** Elements of the submission that the line stands for. */
  readonly indexes: readonly number[];
  readonly isArray: boolean;
  /** Letters, such as `qw`, `hqw`, `Eqw`, `r`, `dr`. */
  readonly state: string;
  readonly isPending: boolean;
  /** On this queue instance; all that are asked for while it waits. */
  readonly slots: number;
  /** What it asks for, by the name of the complex, as it was written. */
  readonly requests: Readonly<Record<string, string>>;
}

/** A queue on a host. */
export interface QueueInstance {
  readonly queue: string;
  readonly host: string;
  readonly slotsTotal: number;
  readonly slotsUsed: number;
  readonly slotsReserved: number;
  /** Letters, such as `u` (not heard of), `d` (disabled), `E` (error), `a` (overloaded); '' for none. */
  readonly state: string;
  /** Values of complexes, with what says them: h or q (host, queue) and l, c or f (load, consumable, fixed). */
  readonly resources: Readonly<Record<string, { readonly kind: string; readonly value: string }>>;
  readonly jobs: readonly JobLine[];
}

export interface QstatAnswer {
  readonly instances: readonly QueueInstance[];
  readonly pending: readonly JobLine[];
}

/** Of `qstat -f -F ... -r -u USERS -xml`. */
export function parseQstat(text: string): QstatAnswer {
  const root = parseXml(text, 'job_info', 'qstat');
  const [queues] = childrenOf(root, 'queue_info');
  const [pending] = childrenOf(root, 'job_info');
  if (queues === undefined || pending === undefined) throw unreadable('qstat', text);
  return {
    instances: childrenOf(queues, 'Queue-List').map(instanceOf),
    pending: jobLines(pending),
  };
}

function instanceOf(element: XmlElement): QueueInstance {
  const [, queue = '', host = ''] = /^([^@]+)@(.+)$/.exec(textOf(element, 'name')) ?? [];
  if (host === '') throw unreadable('qstat', textOf(element, 'name'));
  const resources = childrenOf(element, 'resource').map(
    ({ attributes, text }) =>
      [attributes['name'] ?? '', { kind: attributes['type'] ?? '', value: text }] as const,
  );
  return {
    queue,
    host,
    slotsTotal: countOf(element, 'slots_total'),
    slotsUsed: countOf(element, 'slots_used'),
    slotsReserved: countOf(element, 'slots_resv'),
    state: textOf(element, 'state'),
    resources: Object.fromEntries(resources),
    jobs: jobLines(element),
  };
}

const jobLines = (element: XmlElement): readonly JobLine[] =>
  childrenOf(element, 'job_list')
    .map(jobLine)
    .filter((line) => line !== undefined);

function jobLine(element: XmlElement): JobLine | undefined {
  const token = tokenOf(textOf(element, 'JB_name'));
  if (token === undefined) return undefined;
  const number = textOf(element, 'JB_job_number');
  if (!/^\d+$/.test(number)) throw unreadable('qstat', number);
  const tasks = textOf(element, 'tasks');
  const requests = childrenOf(element, 'hard_request').map(({ attributes, text }) => [
    attributes['name'] ?? '',
    text,
  ]);
  return {
    number,
    token,
    owner: textOf(element, 'JB_owner'),
    isArray: tasks !== '',
    indexes: tasks === '' ? [1] : parseTasks(tasks),
    state: textOf(element, 'state'),
    isPending: element.attributes['state'] === 'pending',
    slots: countOf(element, 'slots'),
    requests: Object.fromEntries(requests),
  };
}

/** `1-9:2,12` -> [1, 3, 5, 7, 9, 12]. */
const parseTasks = (text: string): readonly number[] =>
  rangesOf(text).flatMap(({ first, step, length }) =>
    Array.from({ length }, (_, at) => first + at * step),
  );

/** `1-9:2,12` -> 6. */
export const countTasks = (text: string): number =>
  rangesOf(text).reduce((sum, { length }) => sum + length, 0);

const rangesOf = (text: string) =>
  text.split(',').map((part) => {
    const [, first, last = first, step = '1'] = /^(\d+)(?:-(\d+)(?::(\d+))?)?$/.exec(part) ?? [];
    if (first === undefined || step === '0') throw unreadable('qstat', text);
    const length = Math.floor((Number(last) - Number(first)) / Number(step)) + 1;
    return { first: Number(first), step: Number(step), length };
  });

function countOf(element: XmlElement, name: string): number {
  const text = textOf(element, name);
  if (!/^\d+$/.test(text)) throw unreadable('qstat', `${name} ${text}`);
  return Number(text);
}

export const jobIdOf = ({ isArray, number }: JobLine, index: number): string =>
  isArray ? `${number}.${index}` : number;

/**
 * One that could not be started stays in the list with an E until somebody looks after it. One stands still by itself (s), by
 * its queue (S), or because its host is overloaded (T).
 */
export function stateOf({ isPending, state }: JobLine): BatchJob['state'] {
  if (!isPending) return /[sST]/.test(state) ? 'suspended' : 'runs';
  return state.includes('E') ? 'stuck' : 'waits';
}

/** Bytes or a count of a resource; undefined where the host does not say. */
export function amountOf({ resources }: QueueInstance, name: string): number | undefined {
  const value = resources[name]?.value;
  return value === undefined ? undefined : parseBytes(value);
}

/** What `qstat -j NUMBERS -xml` says of jobs. */
export interface JobDetails {
  /** Why tasks could not be started, by job number and then by index. */
  readonly errors: ReadonlyMap<string, ReadonlyMap<number, string>>;
  /** Why the scheduler leaves jobs waiting, by job number. */
  readonly reasons: ReadonlyMap<string, readonly string[]>;
  /** Why it leaves any job waiting. */
  readonly common: readonly string[];
}

export function parseDetails(text: string): JobDetails {
  const root = parseXml(text, 'detailed_job_info', 'qstat');
  const errors = new Map<string, ReadonlyMap<number, string>>();
  for (const job of childrenOf(root, 'djob_info').flatMap((info) => childrenOf(info, 'element'))) {
    const tasks = findAll(job, 'JB_ja_tasks').flatMap(({ children }) => children);
    const words = tasks.map((task): readonly [number, string] => [
      Number(textOf(task, 'JAT_task_number')),
      findAll(task, 'QIM_message')[0]?.text ?? '',
    ]);
    errors.set(textOf(job, 'JB_job_number'), new Map(words));
  }
  const reasons = new Map<string, readonly string[]>();
  for (const list of findAll(root, 'SME_message_list'))
    for (const element of childrenOf(list, 'element')) {
      const words = textOf(element, 'MES_message');
      for (const { text: number } of findAll(element, 'ULNG_value'))
        reasons.set(number, [...(reasons.get(number) ?? []), words]);
    }
  const common = findAll(root, 'SME_global_message_list').flatMap((list) =>
    findAll(list, 'MES_message').map(({ text: words }) => words),
  );
  // In place of reasons: the scheduler was told not to keep them.
  if (common.some((words) => words.startsWith('(Collecting of')))
    return { errors, reasons, common: [] };
  return { errors, reasons, common };
}
