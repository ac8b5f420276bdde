import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Log } from '../../../service/log.ts';
import { wordsAs } from '../../accounts/account.ts';
import type { LrmsTask } from '../lrms.ts';

const TIMEOUT_MS = 30_000;

/** Removes what a task that did not end by itself has left beside its processes; where that fails the log says so. */
export async function cleanUp(task: LrmsTask, log: Log): Promise<void> {
  const { account, afterwards = [], env, id } = task;
  if (afterwards.length === 0) return;
  const asAccount = account === undefined ? [] : wordsAs(account, '/dev/null');
  const [program = '', ...args] = [...asAccount, ...afterwards];
  try {
    await promisify(execFile)(program, args, {
      cwd: '/',
      env: { PATH: env['PATH'] ?? '/usr/bin:/bin' },
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
  } catch (error) {
    log.warn({ err: error, id }, 'what a task left could not be removed');
  }
}
