import { expect, test } from 'vitest';
import { connectionWords } from '../../service/connection-words.ts';

const behind = (words: string): string => `No connection established. Last error: ${words}`;

test.each([
  [
    behind('Error: connect ECONNREFUSED 127.0.0.1:7460. Resolution note: none'),
    'nothing listens at 127.0.0.1:7460 (ECONNREFUSED)',
  ],
  [
    behind('Error: connect EHOSTUNREACH 10.1.2.3:7460.'),
    'no way leads to 10.1.2.3:7460 (EHOSTUNREACH)',
  ],
  [
    'Name resolution failed for target dns:nowhere.example:7460',
    "the name 'nowhere.example' cannot be resolved",
  ],
  [behind('Error: certificate has expired.'), 'its certificate has expired'],
  [
    behind(
      "Error [ERR_TLS_CERT_ALTNAME_INVALID]: Hostname/IP does not match certificate's altnames: Host: localhost. is not in the cert's altnames: DNS:a.example, DNS:b.example.",
    ),
    'its certificate is not for localhost, only for: DNS:a.example, DNS:b.example',
  ],
  [
    behind(
      'Error: unable to verify the first certificate; if the root CA is installed locally, try running Node.js with --use-system-ca.',
    ),
    'its certificate is of no trusted authority',
  ],
  [
    behind('Error: unable to get certificate CRL.'),
    'there is no revocation list of the authority of its certificate, or that authority is not trusted',
  ],
  [
    behind('Error: CRL is not yet valid.'),
    'the revocation list of its authority is not valid yet: one of the clocks is wrong',
  ],
  [
    behind('Error: the gateway is /CN=other, and /CN=campus is enrolled.'),
    'the gateway is /CN=other, and /CN=campus is enrolled',
  ],
  ['Deadline exceeded after 2.000s', 'there was no answer for 2.0 s'],
  [
    'Deadline exceeded after 30.004s,name resolution: 0.027s,Waiting for LB pick',
    'there was no answer for 30.0 s',
  ],
])('%s', (details, words) => {
  expect(connectionWords(details)).toBe(words);
});

test('words of a peer gone mad are read in a moment', () => {
  const mad = `14 UNAVAILABLE: ${' '.repeat(200_000)}x`;
  expect(connectionWords(mad)).toBe(mad);
});
