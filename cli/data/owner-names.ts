const YOU = 'you';

/**
 * Short names of people for a column: `you` for `me`, for others the common name of their DN. Where that would mean two of
 * `owners`, or the reader, the whole DN.
 */
export function ownerNames(owners: Iterable<string>, me: string): (dn: string) => string {
  const all = new Set([...owners, me]);
  const count = new Map([[YOU, 1]]);
  for (const dn of all) count.set(commonName(dn), (count.get(commonName(dn)) ?? 0) + 1);
  return (dn) => {
    if (dn === me) return YOU;
    const name = commonName(dn);
    return count.get(name) === 1 ? name : dn;
  };
}

/** The last one, as people have it; a DN without any stays whole. */
const commonName = (dn: string): string => /.*\/CN=([^/]+)/.exec(dn)?.[1] ?? dn;
