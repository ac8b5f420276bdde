import { encodeAccount, encodeUser, fmtCreds } from '@nats-io/jwt';
import { createUser, type KeyPair } from '@nats-io/nkeys';
import { chunkSubjects, directGetSubject, JS_DOMAIN } from '../../service/staging/names.ts';

/** CVE-2025-30215: with these open, one account can purge another one's streams on an old server. */
export const DENIED = ['$JS.API', `$JS.${JS_DOMAIN}.API`].flatMap((api) =>
  ['ACCOUNT', 'SERVER', 'META'].map((what) => `${api}.${what}.>`),
);

/** The account of a VO as nats-server is told of it. It names no secret. */
export const accountToken = (
  vo: string,
  account: KeyPair,
  operator: KeyPair,
  bytes = -1,
): Promise<string> =>
  encodeAccount(
    `vo-${vo}`,
    account,
    {
      limits: {
        conn: -1,
        // Whoever connects as a leaf needs a token that says so: `leafCredentials` makes the only ones.
        leaf: -1,
        subs: -1,
        data: -1,
        payload: -1,
        imports: 0,
        exports: 0,
        wildcards: false,
        mem_storage: 0,
        disk_storage: bytes,
        streams: 1,
        consumer: 1,
      },
      default_permissions: { pub: { deny: DENIED } },
    },
    { signer: operator },
  );

/**
 * Lets a leaf node carry what members and gateways of a VO do: put chunks, get chunks, and hear the answers. Nobody can use it for anything but a leaf connection.
 */
export async function leafCredentials(
  vo: string,
  account: KeyPair,
  expiresAtMs: number,
): Promise<Uint8Array> {
  const user = createUser();
  const jwt = await encodeUser(
    `leaf-${vo}`,
    user,
    account,
    {
      subs: -1,
      data: -1,
      payload: -1,
      allowed_connection_types: ['LEAFNODE'],
      pub: { allow: [chunkSubjects(vo), directGetSubject('>', 'leaf')], deny: DENIED },
      sub: { allow: ['_INBOX.>'] },
    },
    { exp: Math.floor(expiresAtMs / 1_000) },
  );
  return fmtCreds(jwt, user);
}
