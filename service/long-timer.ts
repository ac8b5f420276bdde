const MAX_TIMER_MS = 2 ** 31 - 1;

/** A timer of any length, which keeps no process alive: Node's own hold 24 days. */
export function openLongTimer(ms: number, fired: () => void): Disposable {
  let timer: NodeJS.Timeout | undefined;
  const arm = (leftMs: number): void => {
    const nowMs = Math.min(leftMs, MAX_TIMER_MS);
    const next = leftMs > nowMs ? () => arm(leftMs - nowMs) : fired;
    timer = setTimeout(next, nowMs).unref();
  };
  arm(Math.max(0, ms));
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

/** Aborts when so much time is over, however much: Node's own `AbortSignal.timeout` does at once after 24 days. */
export function timeLimit(ms: number): AbortSignal {
  const over = new AbortController();
  openLongTimer(ms, () => over.abort(new DOMException('the time is over', 'TimeoutError')));
  return over.signal;
}
