/** One `-----BEGIN label-----` block. */
export interface PemBlock {
  readonly label: string;
  readonly der: Uint8Array;
}

/** The blocks of a text in order; what stands between them is ignored, as everybody does. */
export function pemBlocks(text: string): readonly PemBlock[] {
  const blocks = text.matchAll(
    /-----BEGIN ([A-Z0-9 ]+)-----\r?\n([A-Za-z0-9+/=\s]*?)-----END \1-----/g,
  );
  return [...blocks].map(([, label = '', body = '']) => ({
    label,
    der: Buffer.from(body, 'base64'),
  }));
}

/** `label` is `CERTIFICATE`, `PRIVATE KEY`, `X509 CRL`, ...; ends with a newline. */
export function toPem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** The text of the first private key, also of one with PEM headers (encrypted by old tools). */
export function privateKeyPem(text: string): string | undefined {
  const found = /-----BEGIN ((?:[A-Z]+ )*PRIVATE KEY)-----[\s\S]+?-----END \1-----/.exec(text);
  return found === null ? undefined : `${found[0]}\n`;
}
