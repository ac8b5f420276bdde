import type { BatchOrder } from '../batch/batch-system.ts';

export interface SubmitOptions {
  readonly accountingGroup: string;
  /** ClassAd expression over slots that the site uses; all where it is ''. */
  readonly slots: string;
  /** How long HTCondor tries to find a node again that it has lost sight of, before the job counts as lost. */
  readonly patienceMs: number;
  /** Further lines of the submit file. */
  readonly lines: readonly string[];
}

/** A job is over its time when the gateway and its script have not ended it for so long. */
const LATE_SECONDS = 60;

/** HTCondor kills what is still there so long after TERM; the gateway is quicker. */
const VACATE_SECONDS = 30;

/** HTCondor has none that is shorter. */
const LEAST_LEASE_SECONDS = 20;

/**
 * The submit file: nothing in it comes from the job but its needs. Its processes are the elements of the submission.
 *
 * - A job that HTCondor holds, because it is over a limit or could not be started, leaves the queue, and its history says
 *   why; only one that a person held (reason 1) stays.
 * - A job ends with a signal to its first process alone: GRID_FORWARD lets the script hand it on.
 */
export function submitFile(order: BatchOrder, options: SubmitOptions): string {
  const { accountingGroup, slots, patienceMs, lines } = options;
  const { token, directory, script, needs, count } = order;
  const leaseSeconds = Math.max(LEAST_LEASE_SECONDS, Math.ceil(patienceMs / 1_000));
  const seconds = Math.ceil(needs.walltimeMs / 1_000) + LATE_SECONDS;
  return [
    'universe = vanilla',
    `executable = ${script}`,
    'transfer_executable = false',
    'should_transfer_files = no',
    `initialdir = ${directory}`,
    'element = $(ProcId) + 1',
    `arguments = "${directory} $INT(element)"`,
    'environment = "JOB_ID=$(ClusterId).$(ProcId) GRID_FORWARD=yes"',
    'getenv = false',
    'output = $INT(element).out',
    'error = $INT(element).err',
    'notification = never',
    `job_max_vacate_time = ${VACATE_SECONDS}`,
    `job_lease_duration = ${leaseSeconds}`,
    `request_cpus = ${needs.cpus}`,
    `request_memory = ${Math.ceil(needs.memoryBytes / 2 ** 20)}`,
    ...(needs.gpus > 0 ? [`request_gpus = ${needs.gpus}`] : []),
    ...(needs.walltimeMs > 0 ? [`allowed_job_duration = ${seconds}`] : []),
    ...(accountingGroup === '' ? [] : [`accounting_group = ${accountingGroup}`]),
    ...(slots === '' ? [] : [`requirements = (${slots})`]),
    'periodic_remove = JobStatus == 5 && HoldReasonCode =!= 1',
    `My.GridToken = "${token}"`,
    ...lines,
    `queue ${count}`,
    '',
  ].join('\n');
}
