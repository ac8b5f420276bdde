import { describe, expect, test } from 'vitest';
import { BatchSilence } from '../../site-gateway/lrms/batch/batch-command.ts';
import {
  configValue,
  endOf,
  isRunning,
  jobOf,
  parseNodes,
  parsePartitions,
  parseQueue as parseQueueOf,
  parseTestedStart,
} from '../../site-gateway/lrms/slurm/slurm-output.ts';

const TOKEN = '0123456789abcdef';
const queueLine = (part: string, state = 'RUNNING'): string =>
  `MARK|${part}|${state}|2|1|64M|N/A|1001|grid-${TOKEN}|None\n`;
const parseQueue = (text: string) =>
  parseQueueOf(text, 'MARK', { isOwn: (_, { uid }) => uid === 1_001 });

test('when a job would start is read, and what is no such answer is none', () => {
  const said =
    'sbatch: Job 7 to start at 2026-11-28T20:30:00 using 1 processors on nodes n1 in partition main\n';
  expect(parseTestedStart(said)).toBe(Date.UTC(2026, 10, 28, 20, 30));
  expect(parseTestedStart(`sbatch: warning: be kind\n${said}`)).toBe(
    Date.UTC(2026, 10, 28, 20, 30),
  );
  expect(
    parseTestedStart('allocation failure: Requested node configuration is not available'),
  ).toBe(undefined);
  expect(parseTestedStart(said.replace('2026-11-28T20:30:00', 'N/A'))).toBe(undefined);
});

describe('the queue', () => {
  test('a single job is element 1 under its own number', () => {
    const [line] = parseQueue(queueLine('17|N/A'));
    expect(line).toMatchObject({ token: TOKEN, indexes: [1], cpus: 2, memoryBytes: 2 ** 26 });
    // `None` stands for no reason, and nobody is to read it.
    expect(line?.reason).toBe('');
    expect(line?.idOf(1)).toBe('17');
  });

  test('a line of an array stands for all its elements', () => {
    const [line] = parseQueue(queueLine('20|1-3,7%2', 'PENDING'));
    expect(line?.indexes).toEqual([1, 2, 3, 7]);
    expect(line?.idOf(7)).toBe('20_7');
  });

  test('memory and GPUs are per node, and a reason may hold the separator', () => {
    const text = `MARK|21|N/A|PENDING|8|2|1.5G|gres:gpu:a100:2|1001|grid-${TOKEN}|a|b\n`;
    expect(parseQueue(text)).toMatchObject([
      { memoryBytes: 3 * 2 ** 30, gpus: 4, cpus: 8, reason: 'a|b' },
    ]);
  });

  test.for([
    ['gres:gpu:3090:2', 2],
    ['gres:gpu:1g.10gb:1', 1],
    ['gres/gpu:3090=2', 2],
    ['gres:gpu', 1],
    ['N/A', 0],
  ] as const)('a job that asked for %s has %d GPUs', ([asked, gpus]) => {
    const text = queueLine('17|N/A').replace('|64M|N/A|', `|64M|${asked}|`);
    expect(parseQueue(text)).toMatchObject([{ gpus }]);
  });

  test("others' jobs are passed over, an empty queue is one", () => {
    expect(parseQueue('MARK|22|N/A|RUNNING|1|1|64M|N/A|1001|somebody|None\n')).toEqual([]);
    expect(parseQueue('')).toEqual([]);
  });

  test('a job of somebody else is none of ours, whatever it is called', () => {
    const line = queueLine('17|N/A').slice(5);
    const names = [`grid-${TOKEN}`, `grid-${TOKEN}|1001`, `x\n${line}`, `grid-${TOKEN}\n${line}`];
    const eves = names.map((name) => `MARK|9|N/A|RUNNING|1|1|64M|N/A|1002|${name}|None\n`);
    expect(parseQueue(eves.join(''))).toEqual([]);
    expect(parseQueue(`${eves.join('')}${queueLine('17|N/A')}`)).toHaveLength(1);
  });

  test.for([
    ['half a line', 'MARK|17|N/A|RUNN'],
    ['a whole line without its end', queueLine('17|N/A').trimEnd()],
    ['too few fields', 'MARK|17|N/A|RUNNING|2|1|64M\n'],
    ['a page of a proxy', '<html>502 Bad Gateway</html>\n'],
    ['another language', 'Es laufen keine Aufträge.\n'],
    ['elements that are no numbers', queueLine('17|1-x')],
    ['an error before good lines', `slurm_load_jobs error\n${queueLine('17|N/A')}`],
    ['a line without the mark', queueLine('17|N/A').slice(5)],
  ])('%s is no answer', ([, text]) => {
    expect(() => parseQueue(text ?? '')).toThrow(BatchSilence);
  });

  test.for([
    ['PENDING', 'waits'],
    ['REQUEUED', 'waits'],
    ['SPECIAL_EXIT', 'waits'],
    ['RUNNING', 'runs'],
    ['COMPLETING', 'runs'],
    ['SUSPENDED', 'suspended'],
    ['A_STATE_TO_COME', 'runs'],
  ])('a job that is %s %s', ([state, expected]) => {
    const [line] = parseQueue(queueLine('17|N/A', state));
    expect(line && [jobOf(line, 1).state, isRunning(line)]).toEqual([
      expected,
      expected !== 'waits',
    ]);
  });
});

test.for([
  ['COMPLETED', 'ended'],
  ['CANCELLED', 'cancelled'],
  ['PREEMPTED', 'cancelled'],
  ['TIMEOUT', 'walltime'],
  ['OUT_OF_MEMORY', 'memory'],
  ['NODE_FAIL', 'node-failed'],
  ['COMPLETING', undefined],
  ['A_STATE_TO_COME', undefined],
])('%s is the end %s', ([state = '', kind]) => {
  expect(endOf({ state, reason: 'None' })?.kind).toBe(kind);
});

test('the words of an end carry the reason where there is one', () => {
  expect(endOf({ state: 'FAILED', reason: 'NonZeroExitCode' })?.words).toBe(
    'FAILED, NonZeroExitCode',
  );
  expect(endOf({ state: 'FAILED', reason: '' })?.words).toBe('FAILED');
});

const node = (state: string): string =>
  `NodeName=n1 Arch=x86_64 CoresPerSocket=1 CPUAlloc=1 CPUEfctv=4 CPUTot=8 AvailableFeatures=avx512,ib,off ActiveFeatures=avx512,ib Gres=gpu:a100:4(S:0-1) GresUsed=gpu:a100:2(IDX:0,2) RealMemory=1000 AllocMem=64 State=${state} Partitions=main,long CfgTRES=cpu=4 AllocTRES=cpu=1\n`;

test('a job whose nodes are being woken has them, and waits', () => {
  const [line] = parseQueue(queueLine('17|N/A', 'CONFIGURING'));
  const waits = { id: '17', state: 'waits', reason: 'its nodes are being made ready' };
  expect(line && [isRunning(line), jobOf(line, 1)]).toEqual([true, waits]);
});

describe('nodes', () => {
  test('a node tells what it has and what is taken', () => {
    expect(parseNodes(node('MIXED'))).toEqual([
      {
        name: 'n1',
        partitions: ['main', 'long'],
        isUp: true,
        state: 'MIXED',
        reason: '',
        isReserved: false,
        cpus: 4,
        allocatedCpus: 1,
        memoryBytes: 1_000 * 2 ** 20,
        allocatedMemoryBytes: 64 * 2 ** 20,
        gpus: 4,
        gpuModels: ['a100'],
        allocatedGpus: 2,
        features: ['avx512', 'ib'],
      },
    ]);
  });

  test.for(['DOWN', 'IDLE*', 'IDLE+DRAIN', 'MIXED+MAINT', 'IDLE+NOT_RESPONDING', 'FUTURE'])(
    'a node that is %s is not up',
    (state) => {
      expect(parseNodes(node(state))[0]?.isUp).toBe(false);
    },
  );

  // As Slurm 22.05 shows them, and older ones.
  test.for([
    'IDLE+POWERED_DOWN',
    'IDLE+POWERING_DOWN',
    'IDLE+POWER_DOWN',
    'IDLE+CLOUD+POWERED_DOWN',
    'MIXED+NOT_RESPONDING+POWERING_UP',
    'IDLE*+CLOUD+POWER',
  ])('a node that sleeps, or is being woken, is up: %s', (state) => {
    expect(parseNodes(node(state))[0]?.isUp).toBe(true);
  });

  test.for(['DOWN+POWERED_DOWN', 'IDLE+DRAIN+POWER_DOWN', 'DOWN+POWERING_DOWN'])(
    'a node that sleeps and would not be woken is not up: %s',
    (state) => {
      expect(parseNodes(node(state))[0]?.isUp).toBe(false);
    },
  );

  test('a node of a reservation is up, and kept for it', () => {
    expect(parseNodes(node('IDLE+RESERVED'))[0]).toMatchObject({ isUp: true, isReserved: true });
  });

  test.for([
    ['gpu:2', 2, []],
    ['gpu:a100:4(S:0-1),gpu:2', 6, ['a100']],
    ['gpu:3090:2', 2, ['3090']],
    ['gpu:3090:2(S:0-1)', 2, ['3090']],
    ['gpu:2080ti:8(S:0-1),shard:64', 8, ['2080ti']],
    ['gpu:1g.10gb:7,gpu:3g.40gb:1', 8, ['1g.10gb', '3g.40gb']],
    ['gpu:tesla:2(IDX:0,1)', 2, ['tesla']],
    ['(null)', 0, []],
  ] as const)('the GPUs in %s are %d', ([gres, gpus, gpuModels]) => {
    const text = node('IDLE').replace(/ Gres=\S+/, ` Gres=${gres}`);
    expect(parseNodes(text)[0]).toMatchObject({ gpus, gpuModels });
  });

  test.for([
    ['gpu:3090:0(IDX:N/A)', 0],
    ['gpu:3090:2(IDX:0-1),gpu:1g.10gb:1(IDX:3)', 3],
    ['gpu:(null):0(IDX:N/A)', 0],
    ['gpu:(null):2(IDX:0,3)', 2],
    ['gpu:1', 1],
  ] as const)('of the GPUs %s are taken', ([used, allocatedGpus]) => {
    const text = node('MIXED').replace(/GresUsed=\S+/, `GresUsed=${used}`);
    expect(parseNodes(text)[0]).toMatchObject({ allocatedGpus });
  });

  test('garbage and half a line are no answer', () => {
    expect(() => parseNodes('No nodes at all\n')).toThrow(BatchSilence);
    expect(() => parseNodes(node('IDLE').slice(0, 60))).toThrow(BatchSilence);
  });
});

test.for([
  ['UNLIMITED', 0],
  ['01:00:00', 3_600_000],
  ['1-00:00:30', 86_430_000],
] as const)('MaxTime=%s is %d ms', ([time, maxWalltimeMs]) => {
  const text = `PartitionName=main AllowGroups=ALL AllowAccounts=ALL Default=YES MaxNodes=UNLIMITED MaxTime=${time} State=UP\n`;
  const access = { isHidden: false, isForAll: true };
  const common = { name: 'main', isDefault: true, ...access, state: 'UP', maxNodes: 0 };
  expect(parsePartitions(text)).toEqual([{ ...common, maxWalltimeMs }]);
});

test('a value of the configuration is found by its whole name', () => {
  const text = 'MaxArraySize            = 10001\nMinJobAge               = 300 sec\n';
  expect(configValue(text, 'MaxArraySize')).toBe('10001');
  expect(configValue(text, 'ArraySize')).toBeUndefined();
});
