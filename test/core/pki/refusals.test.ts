import { describe, expect, test } from 'vitest';
import { describeRefusal, PATH_REFUSALS } from '../../../core/pki/refusals.ts';
import { DAY_MS, makeUser, NOON_MS } from '../../fakes/test-ca.ts';
import { BAD_CHAINS } from './bad-chains.ts';
import { BAD_PROXIES } from './bad-proxies.ts';
import { judge, root } from './world.ts';

describe('a bad chain is refused for its own reason', () => {
  test.for([...BAD_CHAINS, ...BAD_PROXIES])('%s: %s', ([code, , given]) => {
    expect(judge(given)).toMatchObject({ kind: 'refused', code });
  });

  test('every code but that of unreadable bytes has a chain', () => {
    const covered = new Set<string>([...BAD_CHAINS, ...BAD_PROXIES].map(([code]) => code));
    const missing = Object.keys(PATH_REFUSALS).filter((code) => !covered.has(code));
    expect(missing).toEqual(['BAD_DER']);
  });

  test('the sentence names what it is about', () => {
    const refusal = judge({
      chain: [makeUser(root, '/DC=org/DC=test/CN=Old', { notAfterMs: NOON_MS - DAY_MS })],
    });
    expect(refusal.kind === 'refused' && describeRefusal(refusal)).toBe(
      "EXPIRED: the certificate has ended: '/DC=org/DC=test/CN=Old' at 2026-05-31T12:00:00Z",
    );
  });
});
