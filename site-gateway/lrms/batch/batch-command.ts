import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { boundedWords } from '../../../core/words.ts';

/** What a command of a batch system came to. */
export interface CommandResult {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** The batch system gave no answer, or none that can be understood: nothing is known, and nothing may be concluded. */
export class BatchSilence extends Error {
  override readonly name = 'BatchSilence';

  constructor(words: string, options?: ErrorOptions) {
    super(boundedWords(words), options);
  }
}

const SHOWN = 100;

/** A command that was to submit a job said neither which one it is nor that it was refused. */
export function unanswered(program: string, words: string, stdout: string): BatchSilence {
  const said = stdout.trim().slice(0, SHOWN);
  const instead = said === '' ? 'said nothing' : `gave no number of a job: '${said}'`;
  return new BatchSilence(words || `${program} ${instead}`);
}

export interface CommandRunner {
  /** Runs a program with a list of arguments, no shell between; throws BatchSilence where it cannot be run or hangs. */
  (program: string, args: readonly string[], timeoutMs: number): Promise<CommandResult>;
}

const MAX_OUTPUT_BYTES = 64 * 2 ** 20;

/** Commands with exactly this environment, so that neither a locale nor somebody's defaults change what they say. */
export function openCommandRunner(env: Readonly<Record<string, string>>): CommandRunner {
  return (program, args, timeoutMs) =>
    new Promise((resolve, reject) => {
      const child = begin(program, args, env);
      const stop = (words: string): void => {
        clearTimeout(timer);
        if (child.pid !== undefined) endGroup(child.pid, child.exitCode ?? child.signalCode);
        // What has left the group may hold them open as long as it likes.
        for (const stream of [child.stdout, child.stderr]) stream.destroy();
        reject(new BatchSilence(words));
      };
      const seconds = timeoutMs / 1_000;
      const timer = setTimeout(() => stop(`${program} gave no answer in ${seconds} s`), timeoutMs);
      const collect = (stream: NodeJS.ReadableStream): (() => string) => {
        const parts: Buffer[] = [];
        let bytes = 0;
        stream.on('data', (part: Buffer) => {
          bytes += part.byteLength;
          if (bytes > MAX_OUTPUT_BYTES) stop(`${program} said more than can be read`);
          else parts.push(part);
        });
        return () => Buffer.concat(parts).toString('utf8');
      };
      const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
      child.once('error', (error) => stop(`${program} cannot be run: ${error.message}`));
      child.once('close', (code) => {
        clearTimeout(timer);
        resolve({ ok: code === 0, stdout: stdout(), stderr: stderr().trim() });
      });
    });
}

function begin(program: string, args: readonly string[], env: Readonly<Record<string, string>>) {
  try {
    // A group of its own: what the command starts must not keep its output open after it was ended.
    const child = spawn(program, [...args], {
      cwd: '/',
      detached: true,
      env: { ...env, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // Where no file can be opened any more it comes without its streams, and tells why only later.
    if ((child as Partial<typeof child>).stdout === undefined) {
      child.on('error', () => undefined);
      throw new Error('this process has too many files open');
    }
    return child;
  } catch (error) {
    // A machine without memory, for example, says so here.
    const words = error instanceof Error ? error.message : String(error);
    throw new BatchSilence(`${program} cannot be run: ${words}`, { cause: error });
  }
}

/** Of a command that has gone what it started may be left; its number is another's only where there is such a process again. */
function endGroup(pid: number, end: number | string | null): void {
  if (end !== null && existsSync(`/proc/${pid}`)) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has just gone.
  }
}
