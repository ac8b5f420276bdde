import * as z from 'zod';
import { BatchSilence } from '../batch/batch-command.ts';
import type { BatchEnd, BatchJob } from '../batch/batch-system.ts';

/** What HTCondor's commands print with `-json`, read strictly: what is not as expected is no answer. */

/** Attributes of a job that are asked for. */
export const JOB_ATTRIBUTES = [
  'ClusterId',
  'ProcId',
  'GridToken',
  'Iwd',
  'JobStatus',
  'HoldReason',
  'HoldReasonCode',
  'LastRejMatchReason',
  'RequestCpus',
  'RequestMemory',
  'RequestGpus',
].join(',');

const JOB = z.object({
  ClusterId: z.int(),
  ProcId: z.int(),
  GridToken: z.string().regex(/^[0-9a-f]{16}$/),
  /** The directory of the submission. */
  Iwd: z.string(),
  JobStatus: z.int(),
  HoldReason: z.string().default(''),
  HoldReasonCode: z.int().default(0),
  LastRejMatchReason: z.string().default(''),
  RequestCpus: z.number().default(1),
  RequestMemory: z.number().default(0),
  RequestGpus: z.number().default(0),
});
export type JobAd = z.output<typeof JOB>;

/** Attributes of a job that is over. */
export const END_ATTRIBUTES = [
  'ClusterId',
  'ProcId',
  'GridToken',
  'JobStatus',
  'RemoveReason',
  'LastHoldReason',
  'LastHoldReasonCode',
  'HoldReason',
  'HoldReasonCode',
  'RemoteUserCpu',
  'RemoteSysCpu',
  'RemoteWallClockTime',
  'MemoryUsage',
].join(',');

const END = z.object({
  ClusterId: z.int(),
  ProcId: z.int(),
  GridToken: z.string(),
  JobStatus: z.int(),
  RemoveReason: z.string().default(''),
  HoldReason: z.string().default(''),
  HoldReasonCode: z.int().default(0),
  LastHoldReason: z.string().default(''),
  LastHoldReasonCode: z.int().default(0),
  RemoteUserCpu: z.number().default(0),
  RemoteSysCpu: z.number().default(0),
  RemoteWallClockTime: z.number().default(0),
  /** MiB. */
  MemoryUsage: z.number().optional().catch(undefined),
});
type EndAd = z.output<typeof END>;

/** Attributes of a slot. Those of a partitionable slot say what is left of it, and `TotalSlot...` how large it is. */
export const SLOT_ATTRIBUTES = [
  'Name',
  'SlotType',
  'State',
  'Cpus',
  'Memory',
  'Gpus',
  'TotalSlotCpus',
  'TotalSlotMemory',
  'TotalSlotGPUs',
].join(',');

const SLOT = z.object({
  Name: z.string(),
  SlotType: z.string(),
  State: z.string(),
  Cpus: z.number(),
  Memory: z.number(),
  Gpus: z.number().default(0),
  TotalSlotCpus: z.number(),
  TotalSlotMemory: z.number(),
  TotalSlotGPUs: z.number().default(0),
});
export type SlotAd = z.output<typeof SLOT>;

const parse = <T>(text: string, program: string, schema: z.ZodType<T>): readonly T[] => {
  // Where there is nothing these commands print nothing at all.
  if (text.trim() === '') return [];
  try {
    return z.array(schema).parse(JSON.parse(text));
  } catch {
    const shown = text.trim().slice(0, 80);
    throw new BatchSilence(`${program} said what cannot be understood: '${shown}'`);
  }
};
export const parseJobs = (text: string): readonly JobAd[] => parse(text, 'condor_q', JOB);
export const parseEnds = (text: string): readonly EndAd[] => parse(text, 'condor_history', END);
export const parseSlots = (text: string): readonly SlotAd[] => parse(text, 'condor_status', SLOT);

/** HTCondor's JobStatus. */
const [IDLE, REMOVED, COMPLETED, HELD] = [1, 3, 4, 5];

export const isRunning = ({ JobStatus }: JobAd): boolean => ![IDLE, HELD].includes(JobStatus);
/** Whether it is still there; a job that is over is only waiting to be forgotten. */
export const isThere = ({ JobStatus }: JobAd): boolean => JobStatus !== COMPLETED;

export const jobOf = (ad: JobAd): BatchJob => ({
  id: `${ad.ClusterId}.${ad.ProcId}`,
  state: isRunning(ad) ? 'runs' : 'waits',
  reason: ad.JobStatus === HELD ? `held: ${ad.HoldReason}` : ad.LastRejMatchReason.trim(),
});

/** HoldReasonCode: JobOutOfResources, JobDurationExceeded and JobExecuteExceeded. */
const [OUT_OF_RESOURCES, OVER_DURATION, OVER_EXECUTION] = [34, 46, 47];

export function endOf(ad: EndAd): BatchEnd {
  const held = ad.HoldReasonCode || ad.LastHoldReasonCode;
  const usage = {
    cpuMs: Math.round((ad.RemoteUserCpu + ad.RemoteSysCpu) * 1_000),
    wallMs: Math.round(ad.RemoteWallClockTime * 1_000),
    peakMemoryBytes: (ad.MemoryUsage ?? 0) * 2 ** 20,
  };
  const words = ad.HoldReason || ad.LastHoldReason || ad.RemoveReason;
  return { kind: ad.JobStatus === REMOVED ? removedKind(held) : 'ended', words, usage };
}

function removedKind(held: number): BatchEnd['kind'] {
  if (held === OUT_OF_RESOURCES) return 'memory';
  if (held === OVER_DURATION || held === OVER_EXECUTION) return 'walltime';
  return 'cancelled';
}
