import { BatchSilence, type CommandRunner } from '../batch/batch-command.ts';
import { LOOK_TIMEOUT_MS, told, wordsOf } from './slurm-command.ts';
import { requireConf } from './slurm-conf.ts';
import { configValue, type PartitionLine, parsePartitions, reservedNodes } from './slurm-output.ts';

/** What changes seldom. */
interface Limits {
  readonly maxArray: number;
  /** All that there are, the hidden ones too; those that the account of the gateway may not use are in a state that says so. */
  readonly partitions: readonly PartitionLine[];
  /** Nodes of the reservation; undefined where there is none. */
  readonly reserved: ReadonlySet<string> | undefined;
}

export interface LimitLooks {
  /** Asks now and then; throws BatchSilence where there is no answer, and asks again next time. */
  (): Promise<Limits>;
  /** Asks at the next look. */
  forget(): void;
  last(): Limits;
}

interface LimitOptions {
  readonly conf: string;
  readonly reservation: string;
}

/** Looks between two questions for partitions, and for the rest; see START_LOOKS. */
const PARTITION_LOOKS = 4;
const OTHER_LOOKS = 12;
/** Slurm's own default of MaxArraySize, while it has not said. */
const DEFAULT_MAX_ARRAY = 1_001;

export function openLimitLooks(run: CommandRunner, options: LimitOptions): LimitLooks {
  let looks = 0;
  let limits: Limits = { maxArray: DEFAULT_MAX_ARRAY, partitions: [], reserved: undefined };
  const look = async (): Promise<Limits> => {
    const at = looks++;
    try {
      if (at % OTHER_LOOKS === 0) limits = { ...limits, ...(await askOthers(run, options)) };
      if (at % PARTITION_LOOKS === 0) limits = { ...limits, partitions: await askPartitions(run) };
    } catch (error) {
      looks = 0;
      throw error;
    }
    return limits;
  };
  const forget = (): void => {
    looks = 0;
  };
  return Object.assign(look, { forget, last: () => limits });
}

async function askOthers(
  run: CommandRunner,
  { conf, reservation }: LimitOptions,
): Promise<Omit<Limits, 'partitions'>> {
  await requireConf(conf);
  const config = await told(run, 'scontrol', ['show', 'config']);
  return {
    maxArray: Number(configValue(config, 'MaxArraySize') ?? DEFAULT_MAX_ARRAY),
    reserved: reservation === '' ? undefined : await nodesOf(run, reservation),
  };
}

/** Without `-a` Slurm shows neither what is hidden nor what an account may not use: of those two only the first takes jobs. */
async function askPartitions(run: CommandRunner): Promise<readonly PartitionLine[]> {
  const show = ['-o', 'show', 'partition'];
  const all = parsePartitions(await told(run, 'scontrol', ['-a', ...show]));
  if (all.every(({ isHidden, isForAll }) => isHidden || isForAll)) return all;
  const shown = parsePartitions(await told(run, 'scontrol', show)).map(({ name }) => name);
  const isOpen = ({ name, isHidden }: PartitionLine): boolean => isHidden || shown.includes(name);
  return all.map((one) => (isOpen(one) ? one : { ...one, state: NOT_OURS }));
}

const NOT_OURS = 'closed to the account of the gateway';

/** Names of the nodes of a reservation; one that Slurm does not have is a fault of the configuration: the site is closed. */
async function nodesOf(look: CommandRunner, reservation: string): Promise<ReadonlySet<string>> {
  const show = ['-o', 'show', 'reservation', reservation];
  const shown = await look('scontrol', show, LOOK_TIMEOUT_MS);
  if (/not found/.test(`${shown.stdout}${shown.stderr}`))
    throw new BatchSilence(`there is no reservation '${reservation}'`);
  if (!shown.ok) throw new BatchSilence(wordsOf(shown.stderr));
  const names = await told(look, 'scontrol', ['show', 'hostnames', reservedNodes(shown.stdout)]);
  return new Set(names.trim().split('\n'));
}
