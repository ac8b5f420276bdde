import { GridError } from '../../core/errors.ts';
import { pause } from '../../service/background.ts';
import { runTool } from '../../service/run-tool.ts';

const PATIENCE_MS = 30_000;
const LOOK_MS = 200;
const TIMEOUT_MS = 10_000;
/** Of what the gateway said, where it did not say what was wrong. */
const LINES_SHOWN = 3;

/** Whether the gateway of a unit runs now, and which run of it that is (systemd.exec(5), INVOCATION_ID). */
export interface UnitRun {
  readonly isRunning: boolean;
  readonly invocation: string;
}

export async function unitRun(name: string, signal: AbortSignal): Promise<UnitRun> {
  const words = ['show', '-p', 'SubState', '-p', 'InvocationID', name];
  const { output } = await runTool('systemctl', words, { timeoutMs: TIMEOUT_MS, signal });
  return {
    isRunning: /^SubState=running$/m.test(output),
    invocation: /^InvocationID=(\w+)$/m.exec(output)?.[1] ?? '',
  };
}

/**
 * Waits until the gateway that a unit has just started says that it serves, or for half a minute where the journal does not
 * tell. Throws UNAVAILABLE with the gateway's own words where it ends instead.
 */
export async function untilServing(name: string, signal: AbortSignal): Promise<void> {
  const { invocation } = await unitRun(name, signal);
  const deadline = performance.now() + PATIENCE_MS;
  const words = ['-q', '-o', 'cat', '--no-pager', `_SYSTEMD_INVOCATION_ID=${invocation}`];
  while (performance.now() < deadline) {
    const now = await unitRun(name, signal);
    const { ok, output } = await runTool('journalctl', words, { timeoutMs: TIMEOUT_MS, signal });
    if (!ok || output.includes('"ready":true')) return;
    if (!now.isRunning || now.invocation !== invocation)
      throw new GridError(
        'UNAVAILABLE',
        `the gateway ends as soon as ${name} has started it, and is started again every few seconds:\n${lastWords(output)}`,
      );
    await pause(LOOK_MS, signal);
    signal.throwIfAborted();
  }
}

/** Out of the log of a program that has ended: its error and what follows, else the last lines. */
export function lastWords(log: string): string {
  const lines = log.trimEnd().split('\n');
  const at = lines.findLastIndex((line) => line.startsWith('grid: '));
  return lines
    .slice(at < 0 ? -LINES_SHOWN : at)
    .map((line) => `  ${line}`)
    .join('\n');
}
