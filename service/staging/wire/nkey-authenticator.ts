import { createPrivateKey, sign } from 'node:crypto';
import type { Authenticator } from '@nats-io/transport-node';

/** RFC 4648 section 6. */
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
/** Two bytes of prefix, the seed, two bytes of checksum. */
const [SEED_AT, SEED_BYTES] = [2, 32];
/** What stands before an Ed25519 seed in PKCS#8 (RFC 8410 section 7). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * Answers the server's challenge as the user of `userJwt`, with the Ed25519 of Node: that of nats.js is JavaScript and takes
 * as long as the whole handshake. `seed` is in its text form, `SU...`.
 */
export function nkeyAuthenticator(
  userJwt: string,
  { publicKey, seed }: { readonly publicKey: string; readonly seed: Uint8Array },
): Authenticator {
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8, rawSeed(seed)]),
    format: 'der',
    type: 'pkcs8',
  });
  return (nonce = '') => ({
    jwt: userJwt,
    nkey: publicKey,
    sig: sign(undefined, Buffer.from(nonce), key).toString('base64url'),
  });
}

function rawSeed(seed: Uint8Array): Uint8Array {
  const bytes: number[] = [];
  let [buffer, bits] = [0, 0];
  for (const letter of new TextDecoder().decode(seed)) {
    buffer = ((buffer << 5) | BASE32.indexOf(letter)) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((buffer >> bits) & 0xff);
  }
  return Uint8Array.from(bytes.slice(SEED_AT, SEED_AT + SEED_BYTES));
}
