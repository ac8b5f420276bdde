import { type CommandResult, type CommandRunner, unanswered } from '../batch/batch-command.ts';
import type { BatchOrder, SubmitAnswer } from '../batch/batch-system.ts';
import { runnerAs, unsubmittable } from '../batch/submit-as.ts';
import type { JobRequest } from './request.ts';

const VERIFY_TIMEOUT_MS = 10_000;
const SUBMIT_TIMEOUT_MS = 30_000;

/** What a command said: its lines but for what says nothing. */
export const wordsOf = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.trim().replace(/^(?:Unable to run job: |error: )+/i, ''))
    .filter((line) => line !== '' && !/^(?:Exiting\.|warning:)/i.test(line))
    .join('; ');

/** Words of a command that did not reach qmaster. */
export const AWAY =
  /commlib|unable to (?:contact|send message)|got no response|timed? ?out|denied: host/i;
const FULL = /jobs are allowed (?:per user|to be|in)|maximum number of (?:active )?jobs/i;
const UNSUITABLE = /no suitable queues/i;

/** Submits, after Grid Engine has verified by itself or, where it cannot, in a command before that the cell could run it. */
export async function submit(
  run: CommandRunner,
  { args, verifiable }: JobRequest,
  order: BatchOrder,
  timeoutMs = SUBMIT_TIMEOUT_MS,
): Promise<SubmitAnswer> {
  const { count } = order;
  const runAs = runnerAs(run, order);
  if (verifiable !== undefined) {
    const words = await whyNot(runAs, verifiable);
    if (UNSUITABLE.test(words)) return { kind: 'refused', words };
  }
  const result = await runAs('qsub', args, timeoutMs);
  const id = idOf(result, count);
  if (id !== undefined)
    return { kind: 'submitted', jobOf: (index) => (count > 1 ? `${id}.${index}` : id) };
  const denied = unsubmittable(order, result.stderr);
  if (denied !== undefined) return denied;
  const words = wordsOf(result.stderr || result.stdout);
  if (FULL.test(words)) return { kind: 'full', words };
  if (!/unable to run job|error|rejected/i.test(result.stderr) || AWAY.test(words))
    throw unanswered('qsub', wordsOf(result.stderr), result.stdout);
  if (!UNSUITABLE.test(words)) return { kind: 'refused', words };
  return { kind: 'refused', words: await whyNot(runAs, args) };
}

/** `123`, or `123.1-8:1` for an array; whole only with the end of its line. */
function idOf({ ok, stdout }: CommandResult, count: number): string | undefined {
  const [, id, last = '1'] = /(?:^|\n)(\d+)(?:\.1-(\d+):1)?\n$/.exec(stdout) ?? [];
  return ok && Number(last) === count ? id : undefined;
}

const MAX_WORDS = 500;

/** Why no queue of the cell, were it empty, would run it; other words where one would, or where nothing is known. */
async function whyNot(run: CommandRunner, args: readonly string[]): Promise<string> {
  const verify = args.map((word, at) => (args[at - 1] === '-w' ? 'v' : word));
  const { stdout, stderr } = await run('qsub', verify, VERIFY_TIMEOUT_MS);
  const lines = wordsOf(`${stdout}\n${stderr}`).replaceAll(/\bJob \d+ /g, '');
  return UNSUITABLE.test(lines) ? `no suitable queues: ${lines}`.slice(0, MAX_WORDS) : lines;
}
