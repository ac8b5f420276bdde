import { isRemoteInput } from '../../core/data/remote-file.ts';
import { GridError } from '../../core/errors.ts';
import type { JobSpec } from '../../core/job/spec.ts';
import type { BrokerService, S3Credential } from '../../proto/gen/grid/v1/broker.ts';
import type { RpcClient } from '../../service/rpc/rpc.ts';
import type { Env } from '../config.ts';
import type { Context } from '../context.ts';

/** Whether a job reads from S3. */
const readsS3 = ({ inputs }: JobSpec): boolean =>
  inputs.some(({ from }) => isRemoteInput(from) && from.startsWith('s3://'));

/** The caller's credential where one of the jobs reads from S3, else none; throws USAGE where there is none to give. */
export const s3For = (specs: readonly JobSpec[], env: Env): S3Credential[] =>
  specs.some(readsS3) ? [s3Credential(env)] : [];

/** The credential of the environment, in the variables of AWS's own tools. */
function s3Credential(env: Env): S3Credential {
  const accessKeyId = env['AWS_ACCESS_KEY_ID'] ?? '';
  const secretAccessKey = env['AWS_SECRET_ACCESS_KEY'] ?? '';
  const sessionToken = env['AWS_SESSION_TOKEN'] ?? '';
  if (accessKeyId !== '' && secretAccessKey !== '')
    return { endpoint: '', accessKeyId, secretAccessKey, sessionToken };
  throw new GridError(
    'USAGE',
    'inputs come from S3, and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set (`aws configure export-credentials --format env` prints them)',
  );
}

/** Gives the credential of the environment to jobs, in the place of the one that they have. */
export async function giveS3(
  { env, signal }: Context,
  broker: RpcClient<BrokerService>,
  jobIds: readonly string[],
): Promise<void> {
  await broker.giveS3Credentials({ jobIds: [...jobIds], s3: [s3Credential(env)] }, { signal });
}
