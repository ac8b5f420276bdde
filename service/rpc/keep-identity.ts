import { type Stats, statSync } from 'node:fs';
import { GridError } from '../../core/errors.ts';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { ServerIdentity } from './grid-listener.ts';
import {
  certificateTrouble,
  type IdentityFiles,
  isInDate,
  readHostIdentity,
} from './host-identity.ts';

/** The host certificate of a service with its key, as its files have them while it runs. */
export interface KeptIdentity extends Disposable {
  /** What to show on a new connection. */
  current(): ServerIdentity;
  /** Hands `show` what `current` gives, now and after each change. */
  follow(show: (identity: ServerIdentity) => void): void;
  /** What its administrator should know of the files or of the dates; '' for nothing. */
  trouble(): string;
}

interface KeepOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** How often the files are looked at; 5 s by default, as a trust directory. */
  readonly lookMs?: number;
}

const LOOK_MS = 5_000;
/** How often the same trouble is logged again. */
const REMIND_MS = 86_400_000;

/**
 * Reads a host certificate and its key, and takes up what replaces them: two files are never replaced at the same instant, so
 * only what two looks saw alike is read. A pair that cannot be used is logged, and what was read before stays. Throws
 * CONFIG_INVALID as `readHostIdentity` does.
 */
export function keepIdentity(files: IdentityFiles, options: KeepOptions): KeptIdentity {
  const { clock, log, lookMs = LOOK_MS } = options;
  const { certificate } = files;
  const listeners: ((identity: ServerIdentity) => void)[] = [];
  let taken = stampOf(files);
  let seen = taken;
  let identity: ServerIdentity = readHostIdentity(files);
  let refused = '';
  let said = { words: '', atMs: 0 };
  const trouble = (): string => refused || certificateTrouble(identity.certPem, clock.nowMs());
  const takeUp = (stamp: string): void => {
    const found = usable(files, clock.nowMs());
    refused = typeof found === 'string' ? found : '';
    if (typeof found === 'string') return;
    taken = stamp;
    if (found.certPem === identity.certPem && found.keyPem === identity.keyPem) return;
    identity = found;
    for (const show of listeners) show(identity);
    log.info({ certificate }, 'host certificate taken up, for new connections');
  };
  const look = (): void => {
    const stamp = stampOf(files);
    if (stamp === taken) refused = '';
    else if (stamp === seen) takeUp(stamp);
    seen = stamp;
    const words = trouble();
    if (words === said.words && clock.monotonicMs() < said.atMs + REMIND_MS) return;
    said = { words, atMs: clock.monotonicMs() };
    if (words !== '') log.warn({ certificate }, words);
  };
  look();
  const timer = setInterval(look, lookMs).unref();
  return {
    current: () => identity,
    follow: (show) => {
      listeners.push(show);
      show(identity);
    },
    trouble,
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

/** What the files hold now, or why that cannot take the place of what was read before. */
function usable(files: IdentityFiles, nowMs: number): ServerIdentity | string {
  try {
    const found = readHostIdentity(files);
    return isInDate(found.certPem, nowMs) ? found : certificateTrouble(found.certPem, nowMs);
  } catch (error) {
    return `what replaced the host certificate is not used, and the one from before stays: put a certificate and its key there (${reasonOf(error)})`;
  }
}

const reasonOf = (error: unknown): string =>
  error instanceof GridError
    ? error.problems.map(({ where, message }) => `${where}: ${message}`).join('; ')
    : String(error);

/** Differs after each change of either file, its mode and owner included. */
const stampOf = ({ certificate, key }: IdentityFiles): string =>
  [certificate, key]
    .map((file) => {
      const stat = statOf(file);
      return `${stat?.ino} ${stat?.size} ${stat?.ctimeMs}`;
    })
    .join('\n');

/** Reading says why there is none. */
function statOf(file: string): Stats | undefined {
  try {
    return statSync(file);
  } catch {
    return undefined;
  }
}
