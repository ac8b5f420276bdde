import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { CompactEncrypt, compactDecrypt } from 'jose';
import { GridError } from '../../core/errors.ts';
import type { S3Credential } from '../../proto/gen/grid/v1/broker.ts';
import { keptSecret } from '../../service/kept-secret.ts';

const KEY_BYTES = 32;

/** The key of this broker, made (mode 0600) where there is none; throws CONFIG_INVALID for a file that is no key or not secret. */
export async function keepSealKey(file: string): Promise<Uint8Array> {
  const text = await keptSecret(file, () => randomBytes(KEY_BYTES).toString('base64'));
  if ((statSync(file).mode & 0o077) !== 0)
    throw new GridError('CONFIG_INVALID', `${file} may be read by others: chmod 600 ${file}`);
  const key = Buffer.from(text.toString(), 'base64');
  if (key.length !== KEY_BYTES)
    throw new GridError('CONFIG_INVALID', `${file} is no key: ${KEY_BYTES} bytes in base64`);
  return key;
}

/** A JWE (RFC 7516, `dir` with AES-256-GCM). It names the owner, so that it opens for jobs of that one only. */
export const seal = (
  key: Uint8Array,
  owner: string,
  credentials: readonly S3Credential[],
): Promise<string> =>
  new CompactEncrypt(Buffer.from(JSON.stringify(credentials)))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', sub: owner })
    .encrypt(key);

/** What was sealed for `owner`; throws for another owner, another key, or a text that was changed. */
export async function unseal(
  key: Uint8Array,
  owner: string,
  sealed: string,
): Promise<readonly S3Credential[]> {
  const { plaintext, protectedHeader } = await compactDecrypt(sealed, key, {
    keyManagementAlgorithms: ['dir'],
    contentEncryptionAlgorithms: ['A256GCM'],
  });
  if (protectedHeader['sub'] !== owner) throw new TypeError('it was sealed for somebody else');
  return JSON.parse(Buffer.from(plaintext).toString()) as S3Credential[];
}
