/** What Node and OpenSSL say of a connection that cannot be made, and what it means. `$1` is the address, where they name it. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/connect ECONNREFUSED (\S+)/, 'nothing listens at $1 (ECONNREFUSED)'],
  [/connect (ETIMEDOUT|EHOSTUNREACH|ENETUNREACH) (\S+)/, 'no way leads to $2 ($1)'],
  [/getaddrinfo (?:ENOTFOUND|EAI_AGAIN) (\S+)/, "the name '$1' cannot be resolved"],
  [
    /name resolution failed for target (?:dns:)?(\S+?)(?::\d+)?$/i,
    "the name '$1' cannot be resolved",
  ],
  [/^Deadline exceeded after ([\d.]+?)\d?\d?s\b/, 'there was no answer for $1 s'],
  [/certificate has expired/, 'its certificate has expired'],
  [/certificate is not yet valid/, 'its certificate is not valid yet: one of the clocks is wrong'],
  [/certificate revoked/, 'its certificate has been revoked'],
  [
    /unable to get certificate CRL/,
    'there is no revocation list of the authority of its certificate, or that authority is not trusted',
  ],
  [
    /CRL is not yet valid/,
    'the revocation list of its authority is not valid yet: one of the clocks is wrong',
  ],
  [/CRL has expired/, 'the revocation list of the authority of its certificate is out of date'],
  [
    /unable to verify the first certificate|unable to get (?:local )?issuer certificate|self-signed certificate|certificate signature failure/,
    'its certificate is of no trusted authority',
  ],
  [
    /does not match certificate's altnames: (?:Host|IP): (\S+?)\.? is not in the cert's (?:altnames|list): (.*)$/,
    'its certificate is not for $1, only for: $2',
  ],
];

/**
 * The words of gRPC for a call that found no peer, without what says nothing: how a name was resolved, `No connection
 * established. Last error: Error:` in front, a full stop behind.
 */
export function connectionWords(details: string): string {
  const [plain = ''] = details.split('Resolution note:');
  const bare = plain
    .trimEnd()
    .replace(/^No connection established\. Last error: /, '')
    .replace(/^Error(?: \[\w+\])?: /, '')
    .replace(/\.\s*$/, '')
    .trim();
  for (const [pattern, words] of WORDS) {
    const found = pattern.exec(bare);
    if (found !== null) return words.replace(/\$(\d)/g, (_, at: string) => found[Number(at)] ?? '');
  }
  return bare;
}
