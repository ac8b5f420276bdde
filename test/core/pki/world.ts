import type { Anchor } from '../../../core/pki/cert.ts';
import { PATH_DEFAULTS, type PathOptions } from '../../../core/pki/options.ts';
import { type Identity, validatePath } from '../../../core/pki/path.ts';
import type { PathRefusal } from '../../../core/pki/refusals.ts';
import { signedBy } from '../../../service/pki/x509.ts';
import {
  anchorOf,
  type Entity,
  makeAuthority,
  makeTestProxy,
  makeUser,
  NOON_MS,
} from '../../fakes/test-ca.ts';

export const ROOT = '/DC=org/DC=test/CN=Root';
export const root = makeAuthority(ROOT);
export const alice = makeUser(root, '/DC=org/DC=test/CN=Alice');
export const proxy = makeTestProxy(alice);
export const trusted = anchorOf(root);

/** What is presented and against what it is held. */
export interface Case {
  readonly chain: readonly Entity[];
  readonly anchors?: readonly Anchor[];
  readonly options?: Partial<PathOptions>;
}

export const judge = ({ chain, anchors = [trusted], options = {} }: Case): Identity | PathRefusal =>
  validatePath(
    chain.map(({ cert }) => cert),
    { anchors, signedBy },
    { ...PATH_DEFAULTS, nowMs: NOON_MS, ...options },
  );

/** An intermediate authority that the root signed, installed with its own policy and CRL. */
export const sub = makeAuthority('/DC=org/DC=test/CN=Sub', { pathLength: 0 }, root);
export const bob = makeUser(sub, '/DC=org/DC=test/CN=Bob');
export const both = [trusted, anchorOf(sub)];
