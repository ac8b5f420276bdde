import { userInfo } from 'node:os';
import type { JobOwners } from '../../site-gateway/lrms/batch/batch-system.ts';

const { uid, username: name } = userInfo();

/** A gateway that submits as itself only. */
export const SELF: JobOwners = { all: () => [{ uid, name }], isOwn: () => true };
