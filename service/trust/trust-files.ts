import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Anchor, CertInfo, CrlInfo } from '../../core/pki/cert.ts';
import type { Log } from '../log.ts';
import { crlDerOf, readCrl } from '../pki/crl.ts';
import { parseSigningPolicy } from '../pki/signing-policy.ts';
import { certificatesFromPem, signedBy } from '../pki/x509.ts';

/** An authority as a trust directory describes it. */
export interface InstalledAuthority extends Anchor {
  /** The revocation list as it was read, DER. */
  readonly crlDer?: Uint8Array;
}

/** A file that holds certificates, and the name that it shares with its signing policy and revocation lists. */
const CERTIFICATE_FILE = /^(.+)\.(?:[0-9]|pem)$/;

/**
 * Authorities of a trust directory in Globus layout. What cannot be read, or is no authority, is logged and does not
 * count. `known` is what was read the time before: a revocation list that is broken, or older than the one known,
 * does not replace it.
 */
export function readTrustDir(
  dir: string,
  known: readonly InstalledAuthority[],
  log: Log,
): readonly InstalledAuthority[] {
  const names = readdirSync(dir).toSorted();
  const found: InstalledAuthority[] = [];
  for (const name of names) {
    const [, base] = CERTIFICATE_FILE.exec(name) ?? [];
    if (base === undefined) continue;
    for (const cert of authoritiesIn(join(dir, name), log)) {
      // The same authority under its new and its old hash is one.
      const here = found.findIndex((other) => isSame(other.cert, cert));
      const before = found[here] ?? known.find((other) => isSame(other.cert, cert));
      const policy = policyOf(join(dir, `${base}.signing_policy`), cert, log);
      const subjectPatterns = policy ?? found[here]?.subjectPatterns;
      const authority: InstalledAuthority = {
        cert,
        ...(subjectPatterns === undefined ? {} : { subjectPatterns }),
        ...latestCrl(crlFiles(dir, names, base), cert, before, log),
      };
      found.splice(here < 0 ? found.length : here, 1, authority);
    }
  }
  return found;
}

const isSame = (one: CertInfo, other: CertInfo): boolean =>
  Buffer.compare(one.der, other.der) === 0;

function attempt<T>(path: string, log: Log, read: (path: string) => T): T | undefined {
  try {
    return read(path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) {
      log.warn({ err: error, file: path }, 'file of the trust directory does not count');
    }
    return undefined;
  }
}

function authoritiesIn(path: string, log: Log): readonly CertInfo[] {
  const certificates = attempt(path, log, (file) =>
    certificatesFromPem(readFileSync(file, 'utf8')),
  );
  return (certificates ?? []).filter((cert) => {
    const isRoot = cert.subjectKey === cert.issuerKey;
    const ok = cert.isCa && (!isRoot || signedBy(cert, cert));
    if (!ok) log.warn({ file: path, subject: cert.subject }, 'no certificate of an authority');
    return ok;
  });
}

const policyOf = (path: string, cert: CertInfo, log: Log): readonly string[] | undefined =>
  attempt(path, log, (file) => parseSigningPolicy(readFileSync(file, 'utf8'), cert.subject));

const crlFiles = (dir: string, names: readonly string[], base: string): readonly string[] =>
  names
    .filter((name) => name.startsWith(`${base}.r`) && /\.r[0-9]$/.test(name))
    .map((name) => join(dir, name));

type WithCrl = Pick<InstalledAuthority, 'crl' | 'crlDer'>;

/** The newest of the authority's lists that its key signed; without any, the first that claims to be one. */
function latestCrl(
  paths: readonly string[],
  cert: CertInfo,
  before: WithCrl | undefined,
  log: Log,
): WithCrl {
  const read = paths.flatMap((path): readonly WithCrl[] => {
    const found = attempt(path, log, (file): WithCrl => {
      const crlDer = crlDerOf(readFileSync(file));
      return { crl: readCrl(crlDer, cert), crlDer };
    });
    return found === undefined ? [] : [found];
  });
  const all = before?.crl === undefined ? read : [...read, before];
  const good = all.filter(({ crl }) => crl?.signatureOk === true);
  const newest = good.toSorted((one, other) => ageOrder(other.crl, one.crl))[0];
  if (newest !== undefined && newest === before && read.length > 0) {
    log.warn({ authority: cert.subject }, 'revocation list is broken or older than the known one');
  }
  return pick(newest ?? read[0]);
}

/** A list that has been removed from the directory still counts until it runs out. */
const pick = (found: WithCrl | undefined): WithCrl => ({
  ...(found?.crl === undefined ? {} : { crl: found.crl }),
  ...(found?.crlDer === undefined ? {} : { crlDer: found.crlDer }),
});

function ageOrder(one: CrlInfo | undefined, other: CrlInfo | undefined): number {
  const byNumber = (one?.crlNumber ?? 0n) - (other?.crlNumber ?? 0n);
  return byNumber === 0n
    ? (one?.thisUpdateMs ?? 0) - (other?.thisUpdateMs ?? 0)
    : byNumber > 0n
      ? 1
      : -1;
}
