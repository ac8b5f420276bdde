import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { certificatesFromPem } from '../../service/pki/x509.ts';

/**
 * DN of the site that the unit of a gateway serves, by its text: that of the certificate which its configuration names.
 * Undefined where that cannot be told, as when configuration or certificate have gone.
 */
export function dnOfUnit(text: string): string | undefined {
  const config = configOf(text);
  if (config === undefined) return undefined;
  try {
    const settings: { certificate?: unknown } | null = parse(readFileSync(config, 'utf8'));
    const certificate = settings?.certificate;
    if (typeof certificate !== 'string') return undefined;
    const pem = readFileSync(resolve(dirname(config), certificate), 'utf8');
    return certificatesFromPem(pem)[0]?.subject;
  } catch {
    return undefined;
  }
}

/** The last word of the command, as `unitOf` has written it. */
function configOf(text: string): string | undefined {
  const word = /^ExecStart=.* --config ("(?:[^"\\]|\\.)*"|\S+)$/m.exec(text)?.[1];
  const plain =
    word?.startsWith('"') === true ? word.slice(1, -1).replaceAll(/\\(.)/g, '$1') : word;
  return plain?.replaceAll('%%', '%').replaceAll('$$', '$');
}
