import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { GridError, type Problem } from '../../core/errors.ts';
import { privacyFault } from '../private-file.ts';
import { readTrouble } from '../staging/file-errors.ts';

/** The settings of a service that name its host certificate and the key of that. */
export interface IdentityFiles {
  readonly certificate: string;
  readonly key: string;
}

/** Certificate and key of a host, PEM; throws CONFIG_INVALID with what is wrong with either, or with the two together. */
export function readHostIdentity({ certificate, key }: IdentityFiles): {
  readonly certPem: string;
  readonly keyPem: string;
} {
  const problems: Problem[] = [];
  const fault = (where: string, message: string): void => {
    problems.push({ where, message });
  };
  const certPem = textOf(certificate, 'certificate', fault);
  const keyPem = textOf(key, 'key', fault);
  const leaf = parsed(certPem, (pem) => new X509Certificate(pem));
  const secret = parsed<KeyObject>(keyPem, createPrivateKey);
  if (certPem !== undefined && leaf === undefined)
    fault(certificate, 'certificate: there is no certificate in it, PEM');
  if (keyPem !== undefined && secret === undefined)
    fault(key, 'key: there is no private key in it, PEM and without a passphrase');
  if (secret !== undefined)
    for (const words of keyFaults(key, secret, certificate, leaf)) fault(key, words);
  if (
    problems.length === 0 &&
    parsed(certPem, (cert) => createSecureContext({ cert })) === undefined
  )
    fault(certificate, 'certificate: TLS cannot read all of it: was it cut off?');
  if (certPem === undefined || keyPem === undefined || problems.length > 0)
    throw new GridError('CONFIG_INVALID', 'the host certificate cannot be used', { problems });
  return { certPem, keyPem };
}

function* keyFaults(
  key: string,
  secret: KeyObject,
  certificate: string,
  leaf: X509Certificate | undefined,
): Generator<string> {
  const openness = privacyFault(key);
  if (openness !== '') yield `key: ${openness}`;
  if (leaf?.checkPrivateKey(secret) === false) yield `key: it is not the key of ${certificate}`;
}

/** What is told of a certificate for so long before its end. */
const SOON_MS = 30 * 86_400_000;

/** What of the dates of a host's certificate its administrator should know; '' for nothing. */
export function certificateTrouble(certPem: string, nowMs: number): string {
  const { validFrom, validTo } = new X509Certificate(certPem);
  const [fromMs, endMs] = [Date.parse(validFrom), Date.parse(validTo)];
  const at = (ms: number): string => new Date(ms).toISOString();
  if (nowMs < fromMs)
    return `the host certificate is not valid before ${at(fromMs)}: is the clock of this machine right?`;
  if (nowMs >= endMs)
    return `the host certificate has ended at ${at(endMs)}, and everybody refuses it: ask for a token (grid ca token --profile host), then grid cert request --force --token TOKEN`;
  return nowMs < endMs - SOON_MS
    ? ''
    : `the host certificate ends at ${at(endMs)}: grid cert renew makes a new one`;
}

/** Whether a certificate has begun and not ended. */
export function isInDate(certPem: string, nowMs: number): boolean {
  const { validFrom, validTo } = new X509Certificate(certPem);
  return Date.parse(validFrom) <= nowMs && nowMs < Date.parse(validTo);
}

/** The text of the file that a setting names; throws CONFIG_INVALID with both. */
export function readSettingFile(setting: string, file: string): string {
  const problems: Problem[] = [];
  const text = textOf(file, setting, (where, message) => problems.push({ where, message }));
  if (text === undefined)
    throw new GridError('CONFIG_INVALID', `the file of '${setting}' cannot be used`, { problems });
  return text;
}

function textOf(
  file: string,
  setting: string,
  fault: (where: string, message: string) => void,
): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    fault(file, `${setting}: it ${readTrouble(error)}`);
    return undefined;
  }
}

function parsed<T>(pem: string | undefined, parse: (pem: string) => T): T | undefined {
  try {
    return pem === undefined ? undefined : parse(pem);
  } catch {
    return undefined;
  }
}
