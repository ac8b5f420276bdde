import { dn, voName } from '../../core/ids.ts';
import type { Peer } from '../../core/vo/caller.ts';

/** A member of VO demo. */
export const ALICE: Peer = {
  dn: dn('/DC=org/DC=test/CN=Alice'),
  fqans: [{ vo: voName('demo'), groups: [] }],
  expiresAtMs: Number.MAX_SAFE_INTEGER,
  proxyDepth: 0,
  limited: false,
  rejectedAttributes: [],
  leafSha256: '',
  endEntityDer: new Uint8Array(),
};
