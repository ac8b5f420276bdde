import { expect, test } from 'vitest';
import type { Needs } from '../../site-gateway/lrms/batch/batch-system.ts';
import {
  capacityOf,
  choose,
  closedReason,
  gpuTypeOf,
  queueFor,
} from '../../site-gateway/lrms/slurm/slurm-capacity.ts';
import {
  parseNodes,
  parsePartitions,
  parseQueue,
} from '../../site-gateway/lrms/slurm/slurm-output.ts';

const partitions = parsePartitions(
  [
    'PartitionName=main Default=YES MaxNodes=1 MaxTime=01:00:00 State=UP',
    'PartitionName=long Default=NO MaxNodes=UNLIMITED MaxTime=UNLIMITED State=UP',
    'PartitionName=shut Default=NO MaxNodes=UNLIMITED MaxTime=UNLIMITED State=DRAIN',
    '',
  ].join('\n'),
);
const nodes = parseNodes(
  [
    'NodeName=n1 CPUAlloc=3 CPUTot=4 RealMemory=1000 AllocMem=200 State=MIXED Partitions=main,long',
    'NodeName=n2 CPUAlloc=0 CPUTot=8 RealMemory=2000 AllocMem=0 State=IDLE Partitions=long',
    'NodeName=n3 CPUAlloc=0 CPUTot=64 RealMemory=9000 AllocMem=0 State=DOWN* Partitions=main,long',
    '',
  ].join('\n'),
);
const ours = parseQueue('MARK|5|N/A|RUNNING|1|1|100M|N/A|0|grid-0123456789abcdef|None\n', 'MARK', {
  isOwn: () => true,
});

test('the default partition is used where the site names none', () => {
  expect(choose(partitions, []).map(({ name }) => name)).toEqual(['main']);
  expect(choose(partitions, ['long', 'main']).map(({ name }) => name)).toEqual(['long', 'main']);
});

test('a partition that is not there, and none at all, are told', () => {
  expect(() => choose(partitions, ['fast'])).toThrow("there is no partition 'fast'");
  const [, long] = partitions;
  expect(() => choose(long ? [long] : [], [])).toThrow('no partition is the default one');
});

test('an account that may use no partition is told so', () => {
  expect(parseNodes('No nodes in the system\n')).toEqual([]);
  const none = parsePartitions('No partitions in the system\n');
  expect(() => choose(none, [])).toThrow('it shows this account no partition');
});

test('a site is closed when none of its partitions is up', () => {
  expect(closedReason(choose(partitions, ['shut', 'main']), nodes)).toBe('');
  expect(closedReason(choose(partitions, ['shut']), nodes)).toBe('partition shut is DRAIN');
});

test('a site is closed when no node of its partitions is up, and says why', () => {
  const node = (name: string, state: string, reason = ''): string =>
    `NodeName=${name} State=${state} Partitions=main CfgTRES=cpu=2 ExtSensorsTemp=n/s${reason}\n`;
  const disk = ' Reason=disk broken [root@2026-11-29T07:18:41]';
  const three = ['n1', 'n2', 'n3', 'n4', 'n5'].map((name) => node(name, 'IDLE+DRAIN', disk));
  const main = choose(partitions, []);
  expect(closedReason(main, parseNodes(three.join('')))).toBe(
    'no node of partition main is up: n1, n2, n3 and 2 more IDLE+DRAIN (disk broken)',
  );
  const all = [...three, node('n6', 'DOWN*'), node('n7', 'DOWN*', ' Reason=hot Comment=x')];
  expect(closedReason(main, parseNodes(all.join('')))).toMatch(
    /IDLE\+DRAIN \(disk broken\), n6 DOWN\*, n7 DOWN\* \(hot\)$/,
  );
  expect(closedReason(main, parseNodes(`${all.join('')}${node('n8', 'IDLE')}`))).toBe('');
  expect(closedReason(main, [])).toBe('no node of partition main is free for the grid');
});

test('a partition that takes no jobs offers nothing', () => {
  const both = capacityOf(nodes, [], choose(partitions, ['shut', 'main']));
  expect(both).toMatchObject({ cpus: 4, queues: [{ name: 'main' }] });
  const none = capacityOf(nodes, [], choose(partitions, ['shut']));
  expect(none).toMatchObject({ cpus: 0, maxWalltimeMs: 0, queues: [] });
});

test('nodes that are down do not count, and what our jobs have stays usable', () => {
  const capacity = capacityOf(nodes, ours, choose(partitions, []));
  expect(capacity).toMatchObject({ cpus: 4, usableCpus: 2, maxNodes: 1, maxWalltimeMs: 3_600_000 });
  expect(capacity.usableMemoryBytes).toBe(900 * 2 ** 20);
});

test('a node in two partitions counts once, and no limit of one is no limit', () => {
  const capacity = capacityOf(nodes, [], choose(partitions, ['main', 'long']));
  expect(capacity).toMatchObject({ cpus: 12, usableCpus: 9, maxNodes: 2, maxWalltimeMs: 0 });
  expect(capacity.queues).toMatchObject([
    { name: 'main', totalCpus: 4, freeCpus: 1, isDefault: true },
    { name: 'long', totalCpus: 12, freeCpus: 9, cpusPerNode: 8 },
  ]);
});

test('a task goes to the first queue in which it can ever run', () => {
  const { queues } = capacityOf(nodes, [], choose(partitions, ['main', 'long']));
  const needs = { nodes: 1, cpus: 1, memoryBytes: 2 ** 20, gpus: 0, walltimeMs: 60_000 };
  const nameFor = (more: Partial<Needs> = {}) => queueFor({ ...needs, ...more }, queues)?.name;
  expect(nameFor()).toBe('main');
  expect(nameFor({ walltimeMs: 7_200_000 })).toBe('long');
  expect(nameFor({ cpus: 6 })).toBe('long');
  expect(nameFor({ cpus: 99 })).toBe('main');
  expect(nameFor({ queue: 'long' })).toBe('long');
  expect(nameFor({ queue: 'of another site' })).toBe('main');
  expect(queueFor(needs, [])).toBe(undefined);
});

test('a task goes where a node has all that it needs, and enough of them', () => {
  const node = (name: string, cpus: number, memoryMb: number, rest: string): string =>
    `NodeName=${name} CPUAlloc=1 CPUTot=${cpus} RealMemory=${memoryMb} AllocMem=0 State=MIXED Partitions=${rest}\n`;
  const mixed = parseNodes(
    node('n1', 32, 64_000, 'main') +
      node('n2', 32, 64_000, 'main,long') +
      node('n3', 4, 512_000, 'main Gres=gpu:a100:1') +
      node('n4', 32, 512_000, 'long'),
  );
  const { queues } = capacityOf(mixed, [], choose(partitions, ['main', 'long']));
  const wide = { nodes: 1, cpus: 32, memoryBytes: 64_000 * 2 ** 20, gpus: 0, gpuModels: [] };
  const vast = { ...wide, memoryBytes: 512_000 * 2 ** 20 };
  expect(queues).toMatchObject([
    {
      kinds: [
        { ...wide, nodes: 2, freeCpus: 62 },
        { ...vast, cpus: 4, gpus: 1, gpuModels: ['a100'], freeCpus: 3 },
      ],
    },
    {
      kinds: [
        { ...vast, freeCpus: 31 },
        { ...wide, freeCpus: 31 },
      ],
    },
  ]);
  const needs = { nodes: 1, cpus: 4, memoryBytes: 2 ** 20, gpus: 0, walltimeMs: 60_000 };
  const nameFor = (more: Partial<Needs>) => queueFor({ ...needs, ...more }, queues)?.name;
  expect(nameFor({ memoryBytes: vast.memoryBytes })).toBe('main');
  expect(nameFor({ cpus: 5, memoryBytes: vast.memoryBytes })).toBe('long');
  expect(nameFor({ cpus: 5, nodes: 2 })).toBe('long');
  const gpus = { gpus: 1, gpuModel: 'A100' };
  expect([nameFor(gpus), nameFor({ ...gpus, cpus: 5 })]).toEqual(['main', 'main']);
});

test('a queue has the GPUs of any of its nodes, and the features of all', () => {
  const node = (name: string, features: string, gres: string, partition = 'main,long'): string =>
    `NodeName=${name} ActiveFeatures=${features} CPUTot=4 RealMemory=1000 State=IDLE Partitions=${partition} Gres=${gres}\n`;
  const some = parseNodes(
    node('n1', 'avx512,ib', 'gpu:a100:4(S:0-1)', 'long') +
      node('n2', 'avx512', 'gpu:v100:1,gpu:a100_40g:1') +
      node('n3', '(null)', 'gpu:2', 'spare'),
  );
  const { queues } = capacityOf(some, [], choose(partitions, ['main', 'long']));
  expect(queues).toMatchObject([
    { name: 'main', features: ['avx512'], gpusPerNode: 2, gpuModels: ['v100', 'a100_40g'] },
    { name: 'long', features: ['avx512'], gpusPerNode: 4, gpuModels: ['a100', 'v100', 'a100_40g'] },
  ]);
  const needs = { nodes: 1, cpus: 1, memoryBytes: 2 ** 20, gpus: 1, walltimeMs: 60_000 };
  const [main] = queues;
  const placeOf = (gpuModel: string) => {
    const queue = queueFor({ ...needs, gpuModel }, queues);
    return [queue?.name, gpuTypeOf({ ...needs, gpuModel }, queue)];
  };
  expect(placeOf('')).toEqual(['main', '']);
  expect(placeOf('V100')).toEqual(['main', ':v100']);
  expect(placeOf('a100')).toEqual(['main', ':a100_40g']);
  const nameless = { ...needs, gpuModel: 'A100' };
  expect(gpuTypeOf(nameless, main && { ...main, gpuModels: [] })).toBe('');
});
