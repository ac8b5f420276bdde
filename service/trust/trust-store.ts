import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { GridError } from '../../core/errors.ts';
import type { Anchor } from '../../core/pki/cert.ts';
import { PATH_DEFAULTS } from '../../core/pki/options.ts';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { toPem } from '../pki/pem.ts';
import { type InstalledAuthority, readTrustDir } from './trust-files.ts';

interface TrustStoreOptions {
  /** Directory in Globus layout: `<hash>.0` (or `NAME.pem`), `.signing_policy`, `.r0`. */
  readonly dir: string;
  /** Whether an authority without a revocation list is refused. */
  readonly crl: 'require' | 'optional';
  readonly clock: Clock;
  readonly log: Log;
  /** How often the directory is looked at; 5 s by default, 0 for never. */
  readonly reloadMs?: number;
}

const DEFAULT_RELOAD_MS = 5_000;

/** The trusted authorities with their signing policies and revocation lists; follows what changes in a directory. */
export class TrustStore implements Disposable {
  readonly crl: 'require' | 'optional';
  private readonly options: TrustStoreOptions;
  private readonly listeners = new Set<() => void>();
  private readonly timer: NodeJS.Timeout | undefined;
  private known: readonly InstalledAuthority[] = [];
  private seen = '';
  private nextExpiryMs = Number.POSITIVE_INFINITY;

  /** Throws TRUST_MISSING where there is no such directory. */
  static open(options: TrustStoreOptions): TrustStore {
    return new TrustStore(options);
  }

  private constructor(options: TrustStoreOptions) {
    this.options = options;
    this.crl = options.crl;
    this.reload();
    const { reloadMs = DEFAULT_RELOAD_MS } = options;
    if (reloadMs > 0) this.timer = setInterval(() => this.reloadQuietly(), reloadMs).unref();
  }

  anchors(): readonly Anchor[] {
    return this.known;
  }

  /** Certificates of all authorities, PEM; throws TRUST_MISSING where there are none. */
  caPem(): string {
    // With an empty list TLS would fall back to the authorities of the Web.
    if (this.known.length === 0) throw this.missing('no certificate of an authority');
    return this.known.map(({ cert }) => toPem('CERTIFICATE', cert.der)).join('');
  }

  /**
   * Their revocation lists, PEM; empty where lists are optional and an authority has none, because OpenSSL demands
   * them of all or of none. Throws TRUST_MISSING where they are required and one is missing.
   */
  crlPem(): string {
    const pems: string[] = [];
    for (const { cert, crlDer } of this.known) {
      if (crlDer !== undefined) pems.push(toPem('X509 CRL', crlDer));
      else if (this.crl === 'optional') return '';
      else throw this.missing(`no revocation list of '${cert.subject}'`);
    }
    return pems.join('');
  }

  /** Calls back after each change of what is trusted; gives the way to stop that. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Reads the directory if it has changed; a revocation list that has run out is a change, too. */
  reload(): void {
    const { dir, clock, log } = this.options;
    const seen = this.fingerprint();
    if (seen === this.seen && clock.nowMs() <= this.nextExpiryMs) return;
    this.seen = seen;
    this.known = readTrustDir(dir, this.known, log);
    const ends = this.known.map(({ crl }) => crl?.nextUpdateMs ?? 0);
    const alive = ends.map((ms) => ms + PATH_DEFAULTS.skewMs).filter((ms) => ms > clock.nowMs());
    this.nextExpiryMs = Math.min(...alive);
    log.info({ dir, authorities: this.known.length }, 'trusted authorities read');
    for (const listener of this.listeners) listener();
  }

  close(): void {
    clearInterval(this.timer);
    this.listeners.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private reloadQuietly(): void {
    try {
      this.reload();
    } catch (error) {
      this.options.log.error({ err: error }, 'trusted authorities could not be read again');
    }
  }

  private fingerprint(): string {
    const { dir } = this.options;
    try {
      return readdirSync(dir)
        .toSorted()
        .map((name) => {
          const stat = statSync(join(dir, name), { throwIfNoEntry: false });
          return `${name} ${stat?.ino} ${stat?.size} ${stat?.mtimeMs}`;
        })
        .join('\n');
    } catch (error) {
      throw this.missing('it cannot be read', error);
    }
  }

  private missing(what: string, cause?: unknown): GridError {
    const message = `trust directory '${this.options.dir}': ${what}`;
    return new GridError('TRUST_MISSING', message, { cause });
  }
}
