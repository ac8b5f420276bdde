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

/** What is wrong with one of the two files. */
export interface IdentityFault {
  readonly setting: keyof IdentityFiles;
  readonly file: string;
  /** To follow the name of the file. */
  readonly words: string;
}

/** Certificate and key of a host, PEM; throws CONFIG_INVALID with what is wrong with either, or with the two together. */
export function readHostIdentity(files: IdentityFiles): {
  readonly certPem: string;
  readonly keyPem: string;
} {
  const { certPem, keyPem, isKey, faults } = readPair(files);
  const openness = isKey ? privacyFault(files.key) : '';
  const all: readonly IdentityFault[] =
    openness === '' ? faults : [{ setting: 'key', file: files.key, words: openness }, ...faults];
  const problems = all.map(({ setting, file, words }) => ({
    where: file,
    message: `${setting}: ${words}`,
  }));
  if (certPem === undefined || keyPem === undefined || problems.length > 0)
    throw new GridError('CONFIG_INVALID', 'the host certificate cannot be used', { problems });
  return { certPem, keyPem };
}

/** Reads both files, and tells why no server can show the certificate: of either file, or of the two together. */
export function readPair({ certificate, key }: IdentityFiles): {
  readonly certPem: string | undefined;
  readonly keyPem: string | undefined;
  /** Whether the file of the key has one that can be read, whosever it is. */
  readonly isKey: boolean;
  readonly faults: readonly IdentityFault[];
} {
  const faults: IdentityFault[] = [];
  const ofCertificate = (words: string): void => {
    faults.push({ setting: 'certificate', file: certificate, words });
  };
  const ofKey = (words: string): void => {
    faults.push({ setting: 'key', file: key, words });
  };
  const certPem = textOf(certificate, ofCertificate);
  const keyPem = textOf(key, ofKey);
  const leaf = parsed(certPem, (pem) => new X509Certificate(pem));
  const secret = parsed<KeyObject>(keyPem, createPrivateKey);
  if (certPem !== undefined && leaf === undefined) ofCertificate(absence(certPem, CERTIFICATE));
  if (keyPem !== undefined && secret === undefined) ofKey(absence(keyPem, PRIVATE_KEY));
  if (leaf !== undefined && secret !== undefined && !leaf.checkPrivateKey(secret))
    ofKey(`it is not the key of ${certificate}`);
  if (faults.length === 0 && parsed(certPem, (cert) => createSecureContext({ cert })) === undefined)
    ofCertificate('TLS cannot read all of it: was it cut off?');
  return { certPem, keyPem, isKey: secret !== undefined, faults };
}

const CERTIFICATE = { label: 'CERTIFICATE', name: 'certificate', form: 'PEM' };
const PRIVATE_KEY = {
  label: 'PRIVATE KEY',
  name: 'private key',
  form: 'PEM and without a passphrase',
};

/** That a text has not what is wanted, and whether it has the other. */
function absence(pem: string, wanted: typeof CERTIFICATE): string {
  const [other] = [CERTIFICATE, PRIVATE_KEY].filter(
    ({ label }) => label !== wanted.label && pem.includes(`${label}-----`),
  );
  return other === undefined
    ? `there is no ${wanted.name} in it, ${wanted.form}`
    : `there is a ${other.name} in it, and no ${wanted.name}`;
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
  const text = textOf(file, (words) =>
    problems.push({ where: file, message: `${setting}: ${words}` }),
  );
  if (text === undefined)
    throw new GridError('CONFIG_INVALID', `the file of '${setting}' cannot be used`, { problems });
  return text;
}

function textOf(file: string, fault: (words: string) => void): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    fault(`it ${readTrouble(error)}`);
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
