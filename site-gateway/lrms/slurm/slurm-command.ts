import { BatchSilence, type CommandRunner } from '../batch/batch-command.ts';

/** How long a command that only asks may take. */
export const LOOK_TIMEOUT_MS = 10_000;

/** What a command says when all goes well. */
export async function told(
  run: CommandRunner,
  command: string,
  args: readonly string[],
): Promise<string> {
  const { ok, stdout, stderr } = await run(command, args, LOOK_TIMEOUT_MS);
  if (!ok) throw new BatchSilence(wordsOf(stderr) || `${command} failed without a word`);
  return stdout;
}

/** The last line of what a command complains of, without its name. */
export const wordsOf = (stderr: string): string =>
  stderr
    .split('\n')
    .at(-1)
    ?.replace(/^\w+: (?:error|fatal): /, '') ?? '';
