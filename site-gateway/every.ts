import { background } from '../service/background.ts';
import type { Log } from '../service/log.ts';

/** Does a thing again and again, never twice at a time. */
export function every(ms: number, name: string, log: Log, work: () => Promise<void>): Disposable {
  let busy = false;
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    const done = work().finally(() => {
      busy = false;
    });
    background(name, done, log);
  }, ms);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
