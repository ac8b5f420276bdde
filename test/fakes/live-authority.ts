import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AUTHORITY_CONFIG } from '../../cert-authority/config.ts';
import {
  type AuthorityWish,
  initAuthority,
  makeOfflineToken,
  type NewAuthority,
  startAuthority,
} from '../../cert-authority/main.ts';
import { CertAuthorityService, VoMembershipService } from '../../proto/gen/grid/v1/authority.ts';
import { systemClock } from '../../service/clock.ts';
import { loadConfig } from '../../service/config.ts';
import { openLog } from '../../service/log.ts';
import { freePort } from '../../service/nats/nats-config.ts';
import { type KeyKind, makeSigningRequest } from '../../service/pki/csr.ts';
import {
  type ClientCredentials,
  type Connection,
  openClient,
} from '../../service/rpc/grpc-client.ts';

/** A certificate with its key, PEM. */
export interface Credential {
  readonly certPem: string;
  readonly keyPem: string;
}

/** The real authority in a directory of its own, serving on a free port. */
export interface LiveAuthority extends AsyncDisposable {
  readonly dir: string;
  readonly address: string;
  readonly made: NewAuthority;
  readonly ca: (as?: Credential) => Connection<CertAuthorityService>;
  readonly vo: (as: Credential) => Connection<VoMembershipService>;
  /** A certificate for a person, by token and enrolment. */
  readonly enrol: (commonName: string) => Promise<Credential>;
  readonly restart: () => Promise<void>;
}

export const AUTHORITY_BASE = '/DC=org/DC=example';
export const ADMIN = 'Ada Lovelace';

/** Makes and starts an authority; its administrator's token is in `made.adminToken`. */
export async function liveAuthority(
  keyKind: KeyKind = 'ec',
  wish: Partial<AuthorityWish> = {},
): Promise<LiveAuthority> {
  const dir = mkdtempSync(join(tmpdir(), 'authority-'));
  const address = `localhost:${await freePort('127.0.0.1')}`;
  const made = await initAuthority({
    dir,
    name: `${AUTHORITY_BASE}/CN=Example Grid CA`,
    keyKind,
    listen: address.replace('localhost', '127.0.0.1'),
    public: address,
    admin: ADMIN,
    ...wish,
  });
  const start = () =>
    startAuthority(loadConfig(AUTHORITY_CONFIG, made.configFile).config, {
      clock: systemClock,
      log: openLog('authority', 'silent'),
    });
  let running = await start();
  const credentials = (as: Credential | undefined): ClientCredentials => ({
    caPem: made.trustFiles.certificatePem,
    ...as,
  });
  const ca = (as?: Credential) =>
    openClient(CertAuthorityService, 'authority', address, credentials(as));
  return {
    dir,
    address,
    made,
    ca,
    vo: (as) => openClient(VoMembershipService, 'authority', address, credentials(as)),
    enrol: async (commonName) => {
      const wanted = { profile: 'user', commonName, altNames: [] } as const;
      const { token } = await makeOfflineToken(dir, wanted);
      const { keyPem, csr } = await makeSigningRequest('ec', commonName);
      using client = ca();
      const request = { token, csr: Buffer.from(csr), lifetimeMs: 0 };
      const { certificatePem } = await client.call.enrol(request);
      return { certPem: certificatePem, keyPem };
    },
    restart: async () => {
      await running[Symbol.asyncDispose]();
      running = await start();
    },
    [Symbol.asyncDispose]: async () => {
      await running[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
