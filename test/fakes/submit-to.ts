import { randomBytes } from 'node:crypto';
import { openDatasets } from '../../broker/data/datasets.ts';
import { NO_SWEEPER, type Sweeper } from '../../broker/data/sweeper.ts';
import { openJobStore } from '../../broker/jobs/job-store.ts';
import { openSubmit, type Submit } from '../../broker/jobs/submit.ts';
import { NO_ROOM } from '../../broker/room/store-room.ts';
import { openS3Secrets } from '../../broker/s3/s3-secrets.ts';
import type { JobSpec } from '../../core/job/spec.ts';
import { specOf } from './offers.ts';
import type { OpenBook } from './open-book.ts';

/** A job without files, as a client asks for it. */
export const wanted = (name: string, details: Partial<JobSpec> = {}) => ({
  spec: specOf({ name, ...details }),
  node: '',
  inputs: { digest: '', totalBytes: 0, files: 0 },
});

const ACCESS = { admins: [], vos: ['demo'] };
/** Submits to a book that has no sites. */
export async function submitTo(book: OpenBook, sweeper: Sweeper = NO_SWEEPER): Promise<Submit> {
  const store = openJobStore(book.db);
  return openSubmit({
    book,
    datasets: await openDatasets(book, ACCESS, { ...sweeper, ...NO_ROOM }),
    sweeper,
    room: NO_ROOM,
    secrets: await openS3Secrets(book, store, randomBytes(32)),
    store,
    access: ACCESS,
    lastSeq: 1_000,
    lastJobId: '',
    chance: () => 0,
    onQueued: () => undefined,
  });
}
