import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { GridError, type Problem } from '../../core/errors.ts';
import { readTrouble } from '../staging/file-errors.ts';

/** The settings of a service that name its host certificate and the key of that. */
interface IdentityFiles {
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
  if (leaf !== undefined && secret !== undefined && !leaf.checkPrivateKey(secret))
    fault(key, `key: it is not the key of ${certificate}`);
  if (certPem === undefined || keyPem === undefined || problems.length > 0)
    throw new GridError('CONFIG_INVALID', 'the host certificate cannot be used', { problems });
  return { certPem, keyPem };
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
