import * as z from 'zod';
import { BatchSilence } from '../batch/batch-command.ts';
import type { BatchEnd, BatchJob } from '../batch/batch-system.ts';

/** What HTCondor's commands print with `-json`, read strictly: what is not as expected is no answer. */

/** Attributes of a job that are asked for. */
export const JOB_ATTRIBUTES = [
  'ClusterId',
  'ProcId',
  'GridToken',
  'JobStatus',
  'HoldReason',
  'HoldReasonCode',
  'LastRejMatchReason',
  'NumJobStarts',
  'JobDisconnectedDate',
  'RequestCpus',
  'RequestMemory',
  'RequestGpus',
].join(',');

/** How often it was started, and whether HTCondor has lost sight of the node on which it ran. */
const STARTS = {
  NumJobStarts: z.int().default(0),
  JobDisconnectedDate: z.number().optional().catch(undefined),
};

const JOB = z.object({
  ...STARTS,
  ClusterId: z.int(),
  ProcId: z.int(),
  GridToken: z.string().regex(/^[0-9a-f]{16}$/),
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
  'NumJobStarts',
  'JobDisconnectedDate',
  'LastHoldReason',
  'LastHoldReasonCode',
  'HoldReason',
  'HoldReasonCode',
  'RemoteUserCpu',
  'RemoteSysCpu',
  'RemoteWallClockTime',
  'MemoryUsage',
  'ResidentSetSize_RAW',
].join(',');

const END = z.object({
  ...STARTS,
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
  /** MiB; mostly an expression over the next one, which JSON cannot evaluate. */
  MemoryUsage: z.number().default(0).catch(0),
  /** KiB; the most that HTCondor has seen, by the kernel's own count where a job has a control group. */
  ResidentSetSize_RAW: z.number().default(0),
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
const [IDLE, REMOVED, COMPLETED, HELD, SUSPENDED] = [1, 3, 4, 5, 7];

export const isRunning = ({ JobStatus }: JobAd): boolean => ![IDLE, HELD].includes(JobStatus);
/** Whether it is still there; a job that is over is only waiting to be forgotten. */
export const isThere = ({ JobStatus }: JobAd): boolean => JobStatus !== COMPLETED;

export function jobOf(ad: JobAd): BatchJob {
  const reason = ad.JobStatus === HELD ? `held: ${ad.HoldReason}` : ad.LastRejMatchReason.trim();
  const id = `${ad.ClusterId}.${ad.ProcId}`;
  if (ad.JobStatus === SUSPENDED) return { id, state: 'suspended', reason };
  if (isRunning(ad)) return { id, state: 'runs', reason };
  return { id, state: listedEnd(ad) === undefined ? 'waits' : 'stuck', reason };
}

/** HoldReasonCode: a person held it. */
const BY_PERSON = 1;
/** JobOutOfResources, JobDurationExceeded and JobExecuteExceeded. */
const [OUT_OF_RESOURCES, OVER_DURATION, OVER_EXECUTION] = [34, 46, 47];

/** How an element ended that HTCondor keeps in its queue: it is held for good, or about to be started once more. */
export function listedEnd(ad: JobAd): BatchEnd | undefined {
  const { JobStatus, HoldReasonCode: held, HoldReason: words } = ad;
  if (JobStatus === HELD && held !== BY_PERSON)
    return { kind: heldKind(held), words, isListed: true };
  if (isRunning(ad) || ad.NumJobStarts === 0) return undefined;
  return {
    kind: lossKind(ad),
    words: JobStatus === HELD ? `held: ${words}` : '',
    isListed: true,
  };
}

export function endOf(ad: EndAd): BatchEnd {
  const usage = {
    cpuMs: Math.round((ad.RemoteUserCpu + ad.RemoteSysCpu) * 1_000),
    wallMs: Math.round(ad.RemoteWallClockTime * 1_000),
    peakMemoryBytes: Math.max(ad.MemoryUsage * 2 ** 20, ad.ResidentSetSize_RAW * 2 ** 10),
  };
  const words = ad.HoldReason || ad.LastHoldReason || ad.RemoveReason;
  return { kind: endKind(ad), words, usage };
}

function endKind(ad: EndAd): BatchEnd['kind'] {
  const held = ad.HoldReasonCode || ad.LastHoldReasonCode;
  if (ad.JobStatus === REMOVED)
    return held === 0 || held === BY_PERSON ? 'cancelled' : heldKind(held);
  return ad.NumJobStarts > 1 ? lossKind(ad) : 'ended';
}

function heldKind(held: number): BatchEnd['kind'] {
  if (held === OUT_OF_RESOURCES) return 'memory';
  if (held === OVER_DURATION || held === OVER_EXECUTION) return 'walltime';
  return 'not-begun';
}

/** Of a job that was started more than once: its later starts did nothing. */
const lossKind = ({ JobDisconnectedDate }: Pick<EndAd, 'JobDisconnectedDate'>): BatchEnd['kind'] =>
  JobDisconnectedDate === undefined ? 'requeued' : 'node-failed';
