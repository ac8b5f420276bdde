import type { Clock } from '../../../service/clock.ts';
import type { Log } from '../../../service/log.ts';
import type { LrmsListener } from '../lrms.ts';
import type { TaskSandbox } from '../sandbox/sandbox.ts';
import type { Gpu } from './find-gpus.ts';

/** What tasks of this machine run with. */
export interface ForkOptions {
  readonly spool: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  /** CPUs of the machine to bind tasks to; empty binds nothing. */
  readonly cores: readonly number[];
  readonly firstCore: number;
  /** GPUs that tasks may have; none where it is left out. */
  readonly gpus?: readonly Gpu[];
  readonly sandbox: TaskSandbox;
  /** Whether tasks get only what the programs of the machine's owner leave. */
  readonly isLowest?: boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly listener: LrmsListener;
}
