import type { CommandRunner } from '../batch/batch-command.ts';
import type { Tell } from './layout.ts';
import { type JobLine, parseDetails } from './qstat.ts';

/** Jobs whose reasons are asked for in one look; those of the others are told when their turn comes. */
const JOBS_AT_A_TIME = 20;
const MAX_LINES = 3;
const TIMEOUT_MS = 10_000;

/** Asks why jobs wait, in one command for all; gives the words by job number, held jobs included. */
export function openWaitReasons(
  run: CommandRunner,
  tell: Tell,
): (waiting: readonly JobLine[]) => Promise<ReadonlyMap<string, string>> {
  let known = new Map<string, string>();
  return async (waiting) => {
    const numbers = [...new Set(waiting.map(({ number }) => number))];
    const asked = numbers.slice(0, JOBS_AT_A_TIME);
    const held = new Map(waiting.map((line) => [line.number, line.state.includes('h')]));
    const words = asked.length === 0 ? new Map<string, string>() : await ask(run, tell, asked);
    const next = new Map<string, string>();
    for (const number of numbers) {
      const said = held.get(number) === true ? 'it is held' : words.get(number);
      const before = known.get(number);
      const reason = said === undefined || isSame(said, before) ? before : said;
      if (reason !== undefined) next.set(number, reason);
    }
    known = next;
    return next;
  };
}

/** What is free changes all the time; a reason that differs in nothing else is not told again. */
const isSame = (said: string, before: string | undefined): boolean =>
  before !== undefined && withoutNumbers(said) === withoutNumbers(before);
const withoutNumbers = (text: string): string => text.replaceAll(/=\d[\d.]*[A-Za-z]?/g, '=');

async function ask(
  run: CommandRunner,
  tell: Tell,
  numbers: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const text = await tell('qstat', ['-j', numbers.join(','), '-xml']);
  const { reasons, common } = parseDetails(text);
  const found = new Map<string, string>();
  for (const number of numbers) {
    const lines = [...(reasons.get(number) ?? []), ...common];
    if (lines.length > 0) found.set(number, join(lines));
  }
  const [first = ''] = numbers;
  // The scheduler was told not to keep its reasons (schedd_job_info): one job is looked into at a time.
  if (found.size === 0) {
    const { stdout } = await run('qalter', ['-w', 'p', first], TIMEOUT_MS);
    const lines = stdout.split('\n').map((line) => line.replace(/^Job \d+ /, ''));
    const said = lines.filter((line) => line !== '' && !line.startsWith('verification:'));
    if (said.length > 0) found.set(first, join(said));
  }
  return found;
}

/** Few lines, those that name no queue first: they say it of all. */
const join = (lines: readonly string[]): string =>
  [...new Set(lines.map((line) => line.trim()))]
    .toSorted((a, b) => Number(/queue/i.test(a)) - Number(/queue/i.test(b)))
    .slice(0, MAX_LINES)
    .join('; ');
