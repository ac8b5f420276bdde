import type { CertInfo } from './cert.ts';

/** Whether a certificate is in the last third of its life, or past its end. */
export const isDue = (
  { notBeforeMs, notAfterMs }: Pick<CertInfo, 'notBeforeMs' | 'notAfterMs'>,
  nowMs: number,
): boolean => nowMs > notAfterMs - (notAfterMs - notBeforeMs) / 3;
