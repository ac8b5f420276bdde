import { statSync } from 'node:fs';
import { accountName } from './account-name.ts';

/** Others of the group may read a key, as Debian's `ssl-cert` does; nobody else, and none may write. */
const TOO_OPEN = 0o027;

/**
 * Why a file does not keep a secret: others may read or change it, or it belongs to somebody else than root and the account of
 * this process. '' where it does. Root may read what is anybody's.
 */
export function privacyFault(file: string): string {
  const { mode, uid } = statSync(file);
  if ((mode & TOO_OPEN) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(4, '0');
    return `others may read or change it (mode ${octal}): chmod 600 ${file}`;
  }
  const self = process.getuid?.() ?? 0;
  return self === 0 || uid === 0 || uid === self
    ? ''
    : `it belongs to another account (uid ${uid}), which may read and change it: chown ${accountName()} ${file}`;
}
