import { execFile } from 'node:child_process';

interface ToolOptions {
  readonly timeoutMs: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal;
}

/** Runs a program to its end; never throws. `output` is stdout and stderr together, at most 1 MiB of each. */
export function runTool(
  file: string,
  args: readonly string[],
  { timeoutMs, ...options }: ToolOptions,
): Promise<{ readonly ok: boolean; readonly output: string }> {
  return new Promise((resolve) => {
    execFile(
      file,
      [...args],
      { ...options, timeout: timeoutMs, maxBuffer: 2 ** 20, encoding: 'utf8' },
      (error, stdout, stderr) => resolve({ ok: error === null, output: stdout + stderr }),
    );
  });
}
