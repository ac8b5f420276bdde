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
