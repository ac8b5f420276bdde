import { pause } from '../../service/background.ts';
import { runTool } from '../../service/run-tool.ts';

const EVERY_MS = 15_000;
/** Where there is no logind, or it does not answer. */
const RARELY_MS = 600_000;
const TIMEOUT_MS = 10_000;
const PROPERTIES = ['Type', 'Class', 'IdleHint', 'IdleSinceHint'].flatMap((name) => ['-p', name]);

/** When a desktop was last used, as far as logind knows from it; asks now and then until `signal` aborts. */
export async function watchSessions(
  onUse: (atMs: number) => void,
  nowMs: () => number,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const sessions = await ask(['list-sessions', '--no-legend'], signal);
    const ids = sessions?.match(/^\s*\S+/gm)?.map((id) => id.trim()) ?? [];
    const shown =
      ids.length === 0 ? '' : await ask(['show-session', ...ids, ...PROPERTIES], signal);
    const usedAtMs = desktopUse(shown ?? '', nowMs());
    if (usedAtMs !== undefined) onUse(usedAtMs);
    await pause(sessions === undefined ? RARELY_MS : EVERY_MS, signal);
  }
}

async function ask(words: readonly string[], signal: AbortSignal): Promise<string | undefined> {
  const { ok, output } = await runTool('loginctl', words, { timeoutMs: TIMEOUT_MS, signal });
  return ok ? output : undefined;
}

/**
 * Out of `loginctl show-session`. A desktop says when its user has been away for some minutes, and when he is back; the
 * time is that of the last change, and 0 while it has said neither, as some never do. One ahead of the clock, which was set
 * back since, tells nothing.
 */
export function desktopUse(text: string, nowMs: number): number | undefined {
  const times = text.split('\n\n').flatMap((block) => {
    const value = (name: string): string =>
      new RegExp(`^${name}=(.*)$`, 'm').exec(block)?.[1] ?? '';
    const changedAtMs = Number(value('IdleSinceHint')) / 1_000;
    const isDesktop = /^(?:x11|wayland|mir)$/.test(value('Type')) && value('Class') !== 'greeter';
    if (!isDesktop || !(changedAtMs > 0)) return [];
    if (value('IdleHint') !== 'yes') return [nowMs];
    return changedAtMs > nowMs ? [] : [changedAtMs];
  });
  return times.length === 0 ? undefined : Math.max(...times);
}
