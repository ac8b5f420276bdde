import { join } from 'node:path';
import type { Dn } from '../core/ids.ts';
import type { Entitlement } from '../core/pki/profile.ts';
import { type Clock, systemClock } from '../service/clock.ts';
import { loadConfig } from '../service/config.ts';
import { openLog } from '../service/log.ts';
import { toPem } from '../service/pki/pem.ts';
import type { Authority } from './authority.ts';
import { AUTHORITY_CONFIG } from './config.ts';
import { type PairFiles, renewPair } from './host-identity.ts';
import { issue } from './issue.ts';
import { addressOf, openAuthority } from './open.ts';
import { makeToken, type Token } from './tokens.ts';

/** For whoever holds the authority's files: works whether or not it serves. */
interface Offline extends Entitlement {
  readonly lifetimeMs?: number;
  readonly clock?: Clock;
}

/** A certificate that was issued beside the authority's files, PEM. */
interface OfflineCertificate {
  readonly certificatePem: string;
  readonly authorityPem: string;
  readonly dn: Dn;
  /** Lower-case hex. */
  readonly serial: string;
}

/** Certifies a signing request (PKCS#10, DER) with the authority in `dir`, which `ca init` has made. */
export function issueOffline(
  dir: string,
  request: Offline & { readonly csr: Uint8Array },
): Promise<OfflineCertificate> {
  return withAuthority(dir, request.clock, async (authority) => {
    const { profile, commonName, altNames, csr } = request;
    const certificate = await issue(authority, {
      wanted: { profile, commonName, altNames },
      csr,
      lifetimeMs: request.lifetimeMs ?? 0,
      actor: 'offline',
    });
    return {
      certificatePem: toPem('CERTIFICATE', certificate.der),
      authorityPem: authority.keys.certificatePem,
      dn: certificate.subject,
      serial: certificate.serial,
    };
  });
}

/** Renews, with the authority in `dir`, those of these pairs that `renewPair` does; gives them. */
export function renewOffline<T extends PairFiles>(
  dir: string,
  pairs: readonly T[],
  clock?: Clock,
): Promise<readonly T[]> {
  return withAuthority(dir, clock, async (authority) => {
    const renewed: T[] = [];
    for (const pair of pairs) if (await renewPair(authority, pair)) renewed.push(pair);
    return renewed;
  });
}

/** Makes an enrolment token with the authority in `dir`. */
export function makeOfflineToken(dir: string, request: Offline): Promise<Token> {
  return withAuthority(dir, request.clock, async (authority) => {
    const { profile, commonName, altNames } = request;
    const token = await makeToken(authority.keys, {
      wanted: { profile, commonName, altNames },
      address: authority.address,
      lifetimeMs: request.lifetimeMs ?? 0,
      nowMs: authority.clock.nowMs(),
    });
    const detail = { profile, expiresAtMs: token.expiresAtMs };
    const change = { actor: 'offline', action: 'create-token', subject: token.dn, detail } as const;
    await authority.ledger.change(change, () => Promise.resolve());
    return token;
  });
}

/** Opens the authority in `dir` for one piece of work. */
export async function withAuthority<T>(
  dir: string,
  clock: Clock = systemClock,
  work: (authority: Authority) => Promise<T>,
): Promise<T> {
  const { config } = loadConfig(AUTHORITY_CONFIG, join(dir, 'authority.yaml'));
  const authority = await openAuthority(config, {
    clock,
    log: openLog('authority', 'silent'),
    address: addressOf(config),
    trustChanged: () => undefined,
  });
  try {
    return await work(authority);
  } finally {
    await authority.ledger[Symbol.asyncDispose]();
  }
}
