import { join } from 'node:path';
import { encodeAccount, encodeUser, fmtCreds } from '@nats-io/jwt';
import { createAccount, createUser, type KeyPair } from '@nats-io/nkeys';
import { ensureDirectory } from '../../service/directories.ts';
import { keepKey, MAX_CONNECTIONS } from '../../service/nats/nats-config.ts';
import { chunkSubjects, directGetSubject, JS_DOMAIN } from '../../service/staging/names.ts';

/** CVE-2025-30215: with these open, one account can purge another one's streams on an old server. */
export const DENIED = ['$JS.API', `$JS.${JS_DOMAIN}.API`].flatMap((api) =>
  ['ACCOUNT', 'SERVER', 'META'].map((what) => `${api}.${what}.>`),
);

/** Keys of the two accounts of a VO. */
export interface VoKeys {
  /** Has the chunks; only the broker itself uses it. */
  readonly store: KeyPair;
  /** Has the members and gateways, and no JetStream of its own. */
  readonly members: KeyPair;
}

/** Reads the keys of a VO, or makes them. */
export async function keepVoKeys(stateDir: string, vo: string): Promise<VoKeys> {
  // A VO may be called `demo.members`.
  const membersDir = join(stateDir, 'members');
  ensureDirectory(membersDir, 0o700);
  return {
    store: await keepKey(join(stateDir, `${vo}.seed`), createAccount),
    members: await keepKey(join(membersDir, `${vo}.seed`), createAccount),
  };
}

const LIMITS = { subs: -1, data: -1, payload: -1, mem_storage: 0 };
/** Connections of brokers to the store of a VO: some for each. */
const MOST_KEEPERS = 100;
/** One VO leaves room for others. */
const MOST_MEMBERS = MAX_CONNECTIONS / 4;
const MOST_LEAVES = MAX_CONNECTIONS / 40;

/** The account that has the chunks of a VO, as nats-server is told of it. It names no secret. */
export const storeToken = (
  vo: string,
  { store }: VoKeys,
  operator: KeyPair,
  bytes = -1,
): Promise<string> =>
  encodeAccount(
    `vo-${vo}`,
    store,
    {
      limits: {
        ...LIMITS,
        conn: MOST_KEEPERS,
        leaf: 0,
        imports: 0,
        exports: -1,
        wildcards: true,
        disk_storage: bytes,
        streams: 1,
        consumer: 1,
      },
      exports: [...new Set(servicesOf(vo).map(({ subject }) => subject))].map((subject) => ({
        name: subject,
        subject,
        type: 'service',
      })),
      default_permissions: { pub: { deny: DENIED } },
    },
    { signer: operator },
  );

/**
 * The account in which members and gateways are. A stream answers wherever its asker says, with what an asker has stored, and nobody's
 * permissions hold for an answer: here it finds no JetStream that would take it for an order.
 */
export const membersToken = (
  vo: string,
  keys: VoKeys,
  operator: KeyPair,
  connections = MOST_MEMBERS,
): Promise<string> =>
  encodeAccount(
    `vo-${vo}-members`,
    keys.members,
    {
      limits: { ...MEMBERS_LIMITS, conn: connections, imports: -1 },
      imports: servicesOf(vo).map(({ subject, from }) => ({
        name: from,
        subject,
        local_subject: from,
        account: keys.store.getPublicKey(),
        type: 'service',
      })),
      default_permissions: { pub: { deny: DENIED } },
    },
    { signer: operator },
  );

/** The same account at a leaf node, which gets chunks from the servers of the grid and from nowhere else. */
export const leafToken = (vo: string, { members }: VoKeys, operator: KeyPair): Promise<string> =>
  encodeAccount(
    `vo-${vo}-members`,
    members,
    {
      limits: { ...MEMBERS_LIMITS, imports: 0 },
      default_permissions: { pub: { deny: DENIED } },
    },
    { signer: operator },
  );

const MEMBERS_LIMITS = {
  ...LIMITS,
  conn: MOST_MEMBERS,
  // Whoever connects as a leaf needs a token that says so: `leafCredentials` makes the only ones.
  leaf: MOST_LEAVES,
  exports: 0,
  wildcards: false,
  disk_storage: 0,
  streams: 0,
  consumer: 0,
};

/** What members ask of the store: by which subject (`from`), and what that is there. */
function servicesOf(vo: string): readonly { readonly from: string; readonly subject: string }[] {
  const chunks = chunkSubjects(vo);
  const get = directGetSubject(chunks);
  return [
    { from: chunks, subject: chunks },
    { from: get, subject: get },
    { from: directGetSubject(chunks, 'leaf'), subject: get },
    // An account without any gets all of JetStream's API, unless it has this part of it.
    { from: '$JS.API.INFO', subject: NOBODY },
  ];
}

/** Nobody hears it. */
const NOBODY = 'nobody';

/**
 * Lets a leaf node carry what members and gateways of a VO do: put chunks, get chunks, and hear the answers. Nobody can use it for anything but a leaf connection.
 */
export async function leafCredentials(
  vo: string,
  { members }: VoKeys,
  expiresAtMs: number,
): Promise<Uint8Array> {
  const user = createUser();
  const jwt = await encodeUser(
    `leaf-${vo}`,
    user,
    members,
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
