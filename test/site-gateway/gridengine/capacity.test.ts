import { describe, expect, test } from 'vitest';
import {
  capacityOf,
  choose,
  closedReason,
  type Layout,
} from '../../../site-gateway/lrms/gridengine/capacity.ts';
import { slotsFor, withoutEnvironment } from '../../../site-gateway/lrms/gridengine/parallel.ts';
import {
  parseComplexes,
  parseEnvironment,
  parseHost,
  parseQueues,
} from '../../../site-gateway/lrms/gridengine/qconf.ts';
import { parseQstat } from '../../../site-gateway/lrms/gridengine/qstat.ts';
import { type InstanceXml, jobXml, qstatXml } from './captured.ts';

const queues = parseQueues(
  [
    'qname                 main.q',
    'qtype                 BATCH INTERACTIVE',
    'pe_list               smp mpi-2,[n1=smp], \\',
    '                      [@big=mpi-4]',
    'qname                 talk.q',
    'qtype                 INTERACTIVE',
    'pe_list               NONE',
    '',
  ].join('\n'),
);
const environmentOf = (name: string, rule: string, slots = 999) =>
  parseEnvironment(`pe_name  ${name}\nslots  ${slots}\nallocation_rule  ${rule}\n`);
const environments = [
  environmentOf('smp', '$pe_slots'),
  environmentOf('fill', '$fill_up'),
  environmentOf('mpi-4', '4'),
  environmentOf('mpi-2', '2'),
];
const layout: Layout = {
  queues: choose(queues, []),
  environments,
  hosts: new Map([['n1', parseHost('hostname n1\ncomplex_values slots=4,mem_free=1000M\n')]]),
  measures: { memory: { name: 'mem_free', consumable: 'JOB' }, gpus: undefined },
};
const instancesOf = (...instances: readonly InstanceXml[]) =>
  parseQstat(qstatXml(instances)).instances;

describe('queues', () => {
  test('those that take batch jobs are used where the site names none', () => {
    expect(layout.queues).toEqual([
      { name: 'main.q', environments: ['smp', 'mpi-2', 'n1', '@big', 'mpi-4'], isBatch: true },
    ]);
    expect(choose(queues, ['talk.q']).map(({ name }) => name)).toEqual(['talk.q']);
  });

  test('one that is not there, and none at all, are told', () => {
    expect(() => choose(queues, ['fast.q'])).toThrow("there is no queue 'fast.q'");
    expect(() => choose([], [])).toThrow('no queue takes batch jobs');
  });

  test.for(['d', 'u', 'au', 'E', 'D', 's', 'S', 'C', 'c', 'o'])(
    'a site is closed when all it has is %s',
    (state) => {
      expect(closedReason(instancesOf({ state }), layout)).toBe(`main.q@n1 is ${state}`);
      expect(capacityOf(instancesOf({ state }), layout)).toMatchObject({ cpus: 0, usableCpus: 0 });
      const more = instancesOf({ state }, { name: 'main.q@n2' });
      expect(closedReason(more, layout)).toBe('');
    },
  );

  test('a host that is overloaded has its slots, and none free', () => {
    const capacity = capacityOf(instancesOf({ state: 'a', used: 1 }), layout);
    expect(capacity).toMatchObject({ cpus: 4, usableCpus: 0 });
    expect(closedReason(instancesOf({ state: 'a' }), layout)).toBe('');
  });
});

describe('capacity', () => {
  test('what our jobs have stays usable, what others have does not', () => {
    const job = jobXml({ attribute: 'running', state: 'r', slots: '2' });
    const busy = instancesOf({ used: 3, jobs: [job], memory: '800.000M' });
    expect(capacityOf(busy, layout)).toMatchObject({
      cpus: 4,
      usableCpus: 3,
      memoryBytes: 1_000 * 2 ** 20,
      usableMemoryBytes: 864 * 2 ** 20,
      maxWalltimeMs: 3_600_000,
    });
  });

  test('a host in two queues counts once, what another queue uses is not free', () => {
    const two = instancesOf({ used: 0, slotsLeft: 1 }, { name: 'talk.q@n1', used: 3 });
    const both = { ...layout, queues };
    expect(capacityOf(two, both)).toMatchObject({ cpus: 4, usableCpus: 1 });
    expect(capacityOf(two, layout)).toMatchObject({ cpus: 4, usableCpus: 1 });
  });

  test('memory that is not used up is what the host has', () => {
    const loaded = { ...layout, measures: { memory: undefined, gpus: undefined } };
    const { memoryBytes } = capacityOf(instancesOf({}), loaded);
    expect(memoryBytes).toBeCloseTo(23.541 * 2 ** 30, -3);
  });

  test('no limit of one queue is no limit, and nodes are hosts that an environment reaches', () => {
    const two = instancesOf({}, { name: 'main.q@n2', limit: 'infinity' });
    const capacity = capacityOf(two, layout);
    expect(capacity).toMatchObject({ maxNodes: 2, maxWalltimeMs: 0 });
    expect(capacity.queues).toMatchObject([
      { name: 'main.q', isDefault: true, cpusPerNode: 4, totalCpus: 8, freeCpus: 8, maxNodes: 2 },
    ]);
    const alone = { ...layout, environments: [environmentOf('fill', '$fill_up')] };
    expect(capacityOf(two, alone).queues).toMatchObject([{ cpusPerNode: 1, maxNodes: 1 }]);
  });
});

test('hosts that differ are kinds of nodes, with no more cpus than an environment gives', () => {
  const three = instancesOf(
    { used: 1 },
    { name: 'main.q@n2', memory: '500.000M' },
    { name: 'main.q@n3', memory: '500.000M', state: 'a' },
  );
  const small = { cpus: 4, memoryBytes: 500 * 2 ** 20, gpus: 0, gpuModels: [] };
  const large = { ...small, memoryBytes: 1_000 * 2 ** 20 };
  const kindsIn = (some: typeof layout) => capacityOf(three, some).queues.map(({ kinds }) => kinds);
  expect(kindsIn(layout)).toEqual([
    [
      { ...large, nodes: 1, freeCpus: 3 },
      { ...small, nodes: 2, freeCpus: 4 },
    ],
  ]);
  const alone = { ...layout, environments: [environmentOf('fill', '$fill_up')] };
  expect(kindsIn(alone)).toMatchObject([[{ cpus: 1 }, { cpus: 1 }]]);
});

describe('slots', () => {
  test.for([
    [1, 1, '', 1],
    [1, 3, 'smp', 3],
    [2, 1, 'mpi-2', 2],
    [2, 2, 'mpi-2', 2],
    [2, 3, 'mpi-4', 4],
  ] as const)('%d nodes of %d cpus come from %s', ([nodes, cpus, environment, perHost]) => {
    expect(slotsFor({ nodes, cpus }, environments)).toEqual({ environment, perHost });
  });

  test('what no environment gives is told', () => {
    const needs = { nodes: 2, cpus: 8 };
    expect(slotsFor(needs, environments)).toBeUndefined();
    expect(slotsFor({ nodes: 3, cpus: 4 }, [environmentOf('few', '4', 8)])).toBeUndefined();
    expect(withoutEnvironment(needs, environments.slice(0, 1))).toBe(
      'no parallel environment of its queues gives 8 slots on 2 hosts each: it has smp ($pe_slots)',
    );
  });
});

test('complexes that nobody may ask for are left out', () => {
  const text = [
    '#name               shortcut   type      relop requestable consumable default  urgency ',
    'h_vmem              h_vmem     MEMORY    <=    YES         YES        0        0',
    'load_avg            la         DOUBLE    >=    NO          NO         0        0',
    '',
  ].join('\n');
  expect(parseComplexes(text)).toEqual([{ name: 'h_vmem', consumable: 'YES' }]);
  expect(() => parseComplexes('error: commlib\n')).toThrow('cannot be understood');
});
