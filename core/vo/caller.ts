import type { Dn, VoName } from '../ids.ts';
import type { Fqan } from './fqan.ts';

/** Who asks, once authenticated: the only thing that authorisation looks at. */
export interface Caller {
  /** Subject of the end-entity certificate. */
  readonly dn: Dn;
  /** Attributes that VOs signed for exactly this certificate, leaf-most set only. */
  readonly fqans: readonly Fqan[];
}

/** A caller of an RPC with the facts of the credential that was presented. */
export interface Peer extends Caller {
  /** When the presented credential, or anything above it, ends. */
  readonly expiresAtMs: number;
  /** Proxies between the presented key and the end entity; 0 for none. */
  readonly proxyDepth: number;
  /** A limited proxy may move data, but not submit jobs (Globus: 1.3.6.1.4.1.3536.1.1.1.9). */
  readonly limited: boolean;
  /** Codes and reasons of attribute certificates that were presented and gave no rights. */
  readonly rejectedAttributes: readonly string[];
  /** SHA-256 of the presented (leaf) certificate, base64url. */
  readonly leafSha256: string;
  /** DER of the end-entity certificate, for what is signed for its holder only. */
  readonly endEntityDer: Uint8Array;
}

/** VOs of which the caller is a member, in the order of its FQANs. */
export function vosOf(caller: Caller): readonly VoName[] {
  return [...new Set(caller.fqans.map((fqan) => fqan.vo))];
}
