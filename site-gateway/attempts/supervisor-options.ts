import type { Clock } from '../../service/clock.ts';
import type { Log } from '../../service/log.ts';
import type { AccountMap } from '../accounts/account-map.ts';
import type { Journal } from '../journal/journal.ts';
import type { LiveOutputs } from '../live/live-outputs.ts';
import type { Lrms, LrmsListener } from '../lrms/lrms.ts';
import type { Runtime } from '../software/image-task.ts';
import type { Disk } from '../staging/disk.ts';
import type { AttemptStaging } from '../staging/staging.ts';
import type { TransferParts } from '../staging/transfer-life.ts';
import type { SpareDirectories } from './spare-directories.ts';

/** What a supervisor needs. */
export interface SupervisorOptions extends TransferParts {
  readonly site: string;
  readonly spool: string;
  /** PATH of tasks. */
  readonly path: string;
  /** What sh sources on a node to get `module`; absent where the site has none. */
  readonly modulesInit?: string | undefined;
  /** What images are run with; absent where the site has nothing for that. */
  readonly runtime?: Runtime | undefined;
  readonly journal: Journal;
  readonly openLrms: (listener: LrmsListener) => Promise<Lrms>;
  readonly staging: AttemptStaging;
  readonly accounts: AccountMap;
  readonly live: LiveOutputs;
  readonly spares: SpareDirectories;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
  /** What is committed to tasks has changed. */
  readonly onChange: () => void;
}
