import type { Anchor, CertInfo } from './cert.ts';

/** What is trusted. An anchor that is not self-signed is an intermediate authority: the path goes on above it. */
export interface Trust {
  readonly anchors: readonly Anchor[];
  /** Whether the key of `parent` made the signature of `child`. */
  readonly signedBy: (child: CertInfo, parent: CertInfo) => boolean;
}

/** What path validation goes by. */
export interface PathOptions {
  readonly nowMs: number;
  /** Clocks may differ by this much. */
  readonly skewMs: number;
  /** Certificates in the presented chain. */
  readonly maxChain: number;
  /** Proxies below the end entity. */
  readonly maxProxyDepth: number;
  readonly maxProxyLifetimeMs: number;
  /** Extended key usage (OID) that an end entity or proxy must allow where it has any; undefined: not looked at. */
  readonly usage: string | undefined;
  /** `optional` lets authorities without a CRL pass; a bad CRL is refused either way. */
  readonly crl: 'require' | 'optional';
}

export const PATH_DEFAULTS: Omit<PathOptions, 'nowMs'> = {
  skewMs: 60_000,
  maxChain: 12,
  maxProxyDepth: 8,
  maxProxyLifetimeMs: 8 * 86_400_000,
  usage: '1.3.6.1.5.5.7.3.2',
  crl: 'require',
};
