import { AwsV4Signer } from 'aws4fetch';
import { parseRemote, type RemoteFile } from '../../core/data/remote-file.ts';
import { type JobSpec, remoteInputs } from '../../core/job/spec.ts';
import type { S3Credential } from '../../proto/gen/grid/v1/broker.ts';

/** The S3 objects among the inputs of a job. */
export const s3Inputs = (spec: Pick<JobSpec, 'inputs'>): readonly RemoteFile[] =>
  remoteInputs(spec).flatMap(({ from }) => {
    const parsed = parseRemote(from);
    return parsed.ok && parsed.file.kind === 's3' ? [parsed.file] : [];
  });

/** The credential for an object's server: the one for just this endpoint, else the one for all. */
export const credentialFor = (
  { url }: RemoteFile,
  credentials: readonly S3Credential[],
): S3Credential | undefined =>
  credentials.find(({ endpoint }) => endpoint !== '' && originOf(endpoint) === originOf(url)) ??
  credentials.find(({ endpoint }) => endpoint === '');

const originOf = (text: string): string => (URL.canParse(text) ? new URL(text).origin : '');

/** The address with a signature (AWS Signature Version 4 in the query) that lets its holder read just this object. */
export async function signUrl(
  file: RemoteFile,
  credential: S3Credential,
  { nowMs, lifetimeMs }: { readonly nowMs: number; readonly lifetimeMs: number },
): Promise<string> {
  const url = new URL(file.url);
  url.searchParams.set('X-Amz-Expires', String(Math.floor(lifetimeMs / 1_000)));
  const signer = new AwsV4Signer({
    url: url.href,
    method: 'GET',
    service: 's3',
    region: file.region,
    signQuery: true,
    // 20260131T120000Z
    datetime: new Date(nowMs).toISOString().replace(/[:-]|\.\d{3}/g, ''),
    accessKeyId: credential.accessKeyId,
    secretAccessKey: credential.secretAccessKey,
    ...(credential.sessionToken === '' ? {} : { sessionToken: credential.sessionToken }),
  });
  return (await signer.sign()).url.href;
}
