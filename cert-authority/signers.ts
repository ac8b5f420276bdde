import type { KeyObject } from 'node:crypto';
import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { VoName } from '../core/ids.ts';
import type { CertInfo } from '../core/pki/cert.ts';
import { ensureDirectory } from '../service/directories.ts';
import { makeSigningRequest } from '../service/pki/csr.ts';
import { pemBlocks, toPem } from '../service/pki/pem.ts';
import { readCertificate } from '../service/pki/x509.ts';
import { writeAtomic } from '../service/write-atomic.ts';
import { type Issuing, issue, SIGNER_PREFIX } from './issue.ts';

/** Issuing, and the directory where each VO's signer is kept. */
export interface Signers extends Issuing {
  readonly signerDir: string;
}

/** Who signs a VO's attributes. */
export interface VoSigner {
  readonly certificate: CertInfo;
  readonly key: KeyObject;
}

/** A signer is replaced when it has less than this left: attributes signed today must verify tomorrow. */
const RENEW_BEFORE_MS = 30 * 86_400_000;

/** Key and certificate in one file, so that a crash cannot leave one without the other. */
const fileOf = (around: Signers, vo: VoName): string => join(around.signerDir, `${vo}.pem`);

/** Makes a signer for a VO: RSA, because ARC and VOMS verify nothing else in attribute certificates. */
export async function makeSigner(around: Signers, vo: VoName): Promise<CertInfo> {
  const commonName = `${SIGNER_PREFIX}${vo}`;
  const { keyPem, csr } = await makeSigningRequest('rsa', commonName);
  const certificate = await issue(around, {
    wanted: { profile: 'host', commonName, altNames: [] },
    csr,
    lifetimeMs: 0,
    actor: 'authority',
    forSigner: true,
  });
  ensureDirectory(around.signerDir, 0o700);
  await writeAtomic(fileOf(around, vo), toPem('CERTIFICATE', certificate.der) + keyPem, 0o600);
  return certificate;
}

/** The VO's signer; made anew (same name) when it is about to expire. */
export async function signerOf(around: Signers, vo: VoName): Promise<VoSigner> {
  const signer = await readSigner(fileOf(around, vo));
  const leftMs = signer.certificate.notAfterMs - around.clock.nowMs();
  const mayLast = around.keys.certificate.notAfterMs - signer.certificate.notAfterMs > 1_000;
  if (leftMs > RENEW_BEFORE_MS || !mayLast) return signer;
  await makeSigner(around, vo);
  return readSigner(fileOf(around, vo));
}

async function readSigner(file: string): Promise<VoSigner> {
  const pem = await readFile(file, 'utf8');
  const block = pemBlocks(pem).find(({ label }) => label === 'CERTIFICATE');
  if (block === undefined) throw new TypeError(`${file} holds no certificate`);
  return { certificate: readCertificate(block.der), key: createPrivateKey(pem) };
}
