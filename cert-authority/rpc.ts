import { GridError } from '../core/errors.ts';
import type { ProfileName } from '../core/pki/profile.ts';
import type { Peer } from '../core/vo/caller.ts';
import {
  CertAuthorityService,
  CertProfile,
  type EnrolResponse,
} from '../proto/gen/grid/v1/authority.ts';
import { toPem } from '../service/pki/pem.ts';
import { readCertificate } from '../service/pki/x509.ts';
import type { CallContext, Handlers } from '../service/rpc/rpc.ts';
import { type Authority, requireAdmin, requireFull } from './authority.ts';
import { currentTrust, publishCrl } from './crl.ts';
import { type IssueRequest, issue } from './issue.ts';
import { type CertificateEntry, certificateBySerial, certificates, revoke } from './revoke.ts';
import { checkToken, makeToken } from './tokens.ts';
import { allVos, hostOf } from './vo.ts';

/** Methods that need no client certificate: a newcomer has none. */
export const ANONYMOUS_METHODS = ['getTrust', 'enrol'] as const;

/** Whoever revokes the certificate of this very connection gets the answer before the connection ends. */
const LEAVING_MS = 200;

/** Handlers of `CertAuthority`. */
export function certAuthorityHandlers(authority: Authority): Handlers<CertAuthorityService> {
  return {
    getTrust: async () => {
      const files = await trustOf(authority);
      const vos = await allVos(authority);
      const host = hostOf(authority.address);
      return {
        ...files,
        vos: vos.map(({ name, lsc }) => ({ vo: name, host, lsc })),
        nowMs: authority.clock.nowMs(),
      };
    },
    enrol: async ({ token, csr, lifetimeMs }) => {
      const { address, clock, keys } = authority;
      const { jti, wanted } = await checkToken(keys, token, { address, nowMs: clock.nowMs() });
      return issued(authority, { wanted, csr, lifetimeMs, actor: `token ${jti}`, jti });
    },
    renewCertificate: async ({ csr, lifetimeMs }, context) => {
      const wanted = await renewable(authority, peerOf(context));
      return issued(authority, { wanted, csr, lifetimeMs, actor: wanted.dn });
    },
    createToken: async (request, context) => {
      const peer = requireAdmin(authority, peerOf(context));
      const { commonName, altNames } = request;
      const wanted = { profile: profileOf(request.profile), commonName, altNames };
      const token = await makeToken(authority.keys, {
        wanted,
        address: authority.address,
        lifetimeMs: request.tokenLifetimeMs,
        nowMs: authority.clock.nowMs(),
      });
      const detail = { profile: wanted.profile, expiresAtMs: token.expiresAtMs };
      const change = { actor: peer.dn, action: 'create-token', subject: token.dn, detail } as const;
      await authority.ledger.change(change, () => Promise.resolve());
      return token;
    },
    revoke: async ({ serial, reason }, context) => {
      const peer = requireFull(peerOf(context));
      const { dn } = await certificateBySerial(authority, serial).catch((error: unknown) => {
        requireAdmin(authority, peer);
        throw error;
      });
      if (dn !== peer.dn) requireAdmin(authority, peer);
      await revoke(authority, { serial, reason, by: peer.dn });
      const { crlPem } = await publishCrl(authority);
      if (serialOf(peer) === serial) setTimeout(authority.trustChanged, LEAVING_MS).unref();
      else authority.trustChanged();
      return { crlPem };
    },
    listCertificates: async ({ dn }, context) => {
      requireAdmin(authority, peerOf(context));
      const found = await certificates(authority, dn === '' ? {} : { dn });
      return { certificates: found.map(recordOf) };
    },
  };
}

/** The caller of a method that is not anonymous. */
export function peerOf(context: CallContext): Peer {
  if (context.peer !== undefined) return context.peer;
  throw new GridError('UNAUTHENTICATED', 'this call needs a certificate');
}

const serialOf = (peer: Peer): string => readCertificate(peer.endEntityDer).serial;

/** What the caller's own certificate entitles to; a proxy may not prolong it, nor one that was revoked. */
async function renewable(authority: Authority, peer: Peer): Promise<CertificateEntry> {
  if (peer.proxyDepth > 0) {
    throw new GridError('PERMISSION_DENIED', 'a proxy cannot renew: use the certificate itself');
  }
  const entry = await certificateBySerial(authority, serialOf(peer));
  if (entry.dn !== peer.dn || entry.revokedAtMs !== undefined) {
    throw new GridError('PERMISSION_DENIED', `certificate ${entry.serial} cannot be renewed`);
  }
  return entry;
}

async function issued(authority: Authority, request: IssueRequest): Promise<EnrolResponse> {
  const certificate = await issue(authority, request);
  const trust = await trustOf(authority);
  return {
    certificatePem: toPem('CERTIFICATE', certificate.der),
    authorityPem: trust.certificatePem,
    crlPem: trust.crlPem,
    signingPolicy: trust.signingPolicy,
  };
}

const trustOf = async (authority: Authority) =>
  (await currentTrust(authority)) ?? (await publishCrl(authority));

const PROFILE_OF_WIRE: ReadonlyMap<number, ProfileName> = new Map([
  [CertProfile.CERT_PROFILE_USER, 'user'],
  [CertProfile.CERT_PROFILE_HOST, 'host'],
  [CertProfile.CERT_PROFILE_ROBOT, 'robot'],
]);
const WIRE_OF_PROFILE = {
  user: CertProfile.CERT_PROFILE_USER,
  host: CertProfile.CERT_PROFILE_HOST,
  robot: CertProfile.CERT_PROFILE_ROBOT,
} as const satisfies Record<ProfileName, CertProfile>;

function profileOf(wire: CertProfile): ProfileName {
  const profile = PROFILE_OF_WIRE.get(wire);
  if (profile === undefined) {
    throw new GridError('REQUEST_INVALID', `certificate profile ${wire} is not known`);
  }
  return profile;
}

const recordOf = (entry: CertificateEntry) => ({
  serial: entry.serial,
  dn: entry.dn,
  profile: WIRE_OF_PROFILE[entry.profile],
  notBeforeMs: entry.notBeforeMs,
  notAfterMs: entry.notAfterMs,
  revokedAtMs: entry.revokedAtMs ?? 0,
  revocationReason: entry.reason ?? '',
});
