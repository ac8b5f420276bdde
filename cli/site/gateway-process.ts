import { existsSync, readFileSync } from 'node:fs';
import { writeAtomic } from '../../service/write-atomic.ts';
import type { Context } from '../context.ts';
import { gridProgram, isAlive, saysReady, startProgram } from '../up/process.ts';
import type { SiteLayout } from './layout.ts';
import { hasSystemd, startUnit, systemdVersion } from './unit.ts';

/** Starts the gateway, under systemd where that runs the machine, and says how; does nothing where it runs already. */
export async function startGateway(
  site: string,
  layout: SiteLayout,
  user: string,
  { env, signal }: Context,
): Promise<string> {
  if (hasSystemd()) {
    const systemd = await systemdVersion(signal);
    const name = await startUnit({ site, layout, user, systemd }, signal);
    return `${name} is enabled and runs${user === 'root' ? '' : ` as ${user}`}`;
  }
  const running = runningGateway(layout);
  if (running !== undefined) return `runs already, process ${running}`;
  const { pid } = await startProgram(
    {
      name: `gateway of ${site}`,
      command: [process.execPath, gridProgram(), 'site', 'serve', '--config', layout.config],
      logStem: layout.logStem,
      isReady: saysReady,
      env,
      endsWithParent: false,
    },
    signal,
  );
  await writeAtomic(layout.pid, `${pid}\n`, 0o644);
  return `process ${pid}, log in ${layout.logStem}.log`;
}

/** Pids are used again: a process counts only if its command line names the configuration. */
function runningGateway(layout: SiteLayout): number | undefined {
  if (!existsSync(layout.pid)) return undefined;
  const pid = Number(readFileSync(layout.pid, 'utf8'));
  if (!isAlive(pid)) return undefined;
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(layout.config) ? pid : undefined;
  } catch {
    return undefined;
  }
}
