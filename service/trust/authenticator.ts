import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GridError } from '../../core/errors.ts';
import { type Dn, dn } from '../../core/ids.ts';
import type { CertInfo } from '../../core/pki/cert.ts';
import { PATH_DEFAULTS, type PathOptions, type Trust } from '../../core/pki/options.ts';
import { type Identity, validatePath } from '../../core/pki/path.ts';
import { describeRefusal, refuse } from '../../core/pki/refusals.ts';
import {
  type AttributeVerdict,
  describeAttributeRefusal,
  isAttributeVo,
  judgeAttributes,
  refuseAttributes,
} from '../../core/vo/attributes.ts';
import type { Peer } from '../../core/vo/caller.ts';
import type { Clock } from '../clock.ts';
import { carriedAttributes, readAttributeCertificate } from '../pki/attribute-cert.ts';
import { DerError } from '../pki/der.ts';
import { formatName, nameFromDn } from '../pki/name.ts';
import { readCertificate, signedBy } from '../pki/x509.ts';
import type { Authenticator } from '../rpc/grid-listener.ts';
import type { TrustStore } from './trust-store.ts';

interface AuthenticatorOptions {
  readonly trust: TrustStore;
  /** `<vo>/<host>.lsc`: who may sign attributes of a VO. Without it no attributes count. */
  readonly vomsDir?: string | undefined;
  readonly clock: Clock;
}

/** Tells who presents a chain, and with which attributes of which VOs. */
export function openAuthenticator({ trust, vomsDir, clock }: AuthenticatorOptions): Authenticator {
  return {
    authenticate: (chain) => {
      const around = surroundings(trust, clock.nowMs());
      const identity = identify(chain, around.trust, around.options);
      const attributes = attributesOf(identity, around, vomsDir);
      return peerOf(chain, identity, attributes);
    },
    onChange: (listener) => {
      trust.onChange(listener);
    },
  };
}

/** What a trust store means to path validation at an instant. */
export function surroundings(
  store: TrustStore,
  nowMs: number,
): { readonly trust: Trust; readonly options: PathOptions } {
  return {
    trust: { anchors: store.anchors(), signedBy },
    options: { ...PATH_DEFAULTS, nowMs, crl: store.crl },
  };
}

/** Certificates (DER, leaf first) -> whose they are; throws UNAUTHENTICATED with the code of core/pki/refusals.ts. */
export function identify(
  chain: readonly Uint8Array[],
  trust: Trust,
  options: PathOptions,
): Identity {
  // Reading costs more than counting.
  const verdict =
    chain.length > options.maxChain + 1
      ? refuse('CHAIN_TOO_LONG', `${chain.length}, at most ${options.maxChain}`)
      : validatePath(withoutRoot(chain.map(readPresented)), trust, options);
  if (verdict.kind === 'identity') return verdict;
  throw new GridError('UNAUTHENTICATED', describeRefusal(verdict));
}

function readPresented(der: Uint8Array): CertInfo {
  try {
    return readCertificate(der);
  } catch (error) {
    const reason = error instanceof Error ? error.message : '';
    throw new GridError('UNAUTHENTICATED', describeRefusal(refuse('BAD_DER', reason)), {
      cause: error,
    });
  }
}

/** Some clients send the root, and TLS may append it; trust comes from the store alone. */
function withoutRoot(chain: readonly CertInfo[]): readonly CertInfo[] {
  const last = chain.at(-1);
  const selfSigned = chain.length > 1 && last !== undefined && last.subjectKey === last.issuerKey;
  return selfSigned ? chain.slice(0, -1) : chain;
}

/** The attribute certificates nearest to the leaf are the ones that count, as everywhere in VOMS. */
function attributesOf(
  identity: Identity,
  { trust, options }: ReturnType<typeof surroundings>,
  vomsDir: string | undefined,
): readonly AttributeVerdict[] {
  for (const proxy of identity.proxies) {
    try {
      const carried = carriedAttributes(proxy);
      if (carried.length === 0) continue;
      return carried.map((der) => judge(der, identity, vomsDir, trust, options));
    } catch (error) {
      return [unreadable(error)];
    }
  }
  return [];
}

function judge(
  der: Uint8Array,
  { endEntity }: Identity,
  vomsDir: string | undefined,
  trust: Trust,
  options: PathOptions,
): AttributeVerdict {
  try {
    const attributes = readAttributeCertificate(der);
    const { vo = '' } = attributes;
    const lsc = vomsDir === undefined || !isAttributeVo(vo) ? [] : readLsc(join(vomsDir, vo));
    return judgeAttributes(attributes, { endEntity, trust, options, lsc });
  } catch (error) {
    return unreadable(error);
  }
}

function unreadable(error: unknown): AttributeVerdict {
  if (error instanceof DerError || (error instanceof GridError && error.code === 'CERT_INVALID')) {
    return refuseAttributes('AC_UNREADABLE', error.message);
  }
  throw error;
}

/** Chains of DNs that the .lsc files of a VO name; none where there is no such directory. */
function readLsc(dir: string): readonly (readonly Dn[])[] {
  try {
    return readdirSync(dir)
      .filter((name) => name.endsWith('.lsc'))
      .flatMap((name) => parseLsc(readFileSync(join(dir, name), 'utf8')));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** One DN a line, signer first; `------ NEXT CHAIN ------` begins another chain. */
function parseLsc(text: string): readonly (readonly Dn[])[] {
  return text.split(/^-+ ?NEXT CHAIN ?-+$/m).map((chain) =>
    chain
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line.startsWith('/'))
      .map((line) => {
        const name = nameFromDn(line);
        return name === undefined ? dn(line) : formatName(name);
      }),
  );
}

function peerOf(
  chain: readonly Uint8Array[],
  identity: Identity,
  attributes: readonly AttributeVerdict[],
): Peer {
  const granted = attributes.filter((verdict) => verdict.kind === 'granted');
  const refused = attributes.filter((verdict) => verdict.kind === 'refused');
  return {
    dn: identity.dn,
    fqans: granted.flatMap(({ fqans }) => fqans),
    // Rights end with the first attribute certificate: the next connection says what is left.
    expiresAtMs: Math.min(identity.expiresAtMs, ...granted.map(({ expiresAtMs }) => expiresAtMs)),
    proxyDepth: identity.proxies.length,
    limited: identity.limited,
    rejectedAttributes: refused.map(describeAttributeRefusal),
    leafSha256: createHash('sha256')
      .update(chain[0] ?? new Uint8Array())
      .digest('base64url'),
    endEntityDer: identity.endEntity.der,
  };
}
