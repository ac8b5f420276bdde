import { expect, test } from 'vitest';
import { jobId, siteId, voName } from '../../../core/ids.ts';
import { checkSpec } from '../../../core/job/check-spec.ts';
import type { JobSpec } from '../../../core/job/spec.ts';
import { askFor, specOf } from '../../fakes/offers.ts';

const { resources } = askFor();
const range = (first: number, last: number, step: number): Partial<JobSpec> => ({
  array: { kind: 'range', first, last, step },
});

test('a plain job is in order, and so is a full array', () => {
  expect(checkSpec(specOf())).toEqual([]);
  expect(checkSpec(specOf(range(1, 1_000_000, 1)))).toEqual([]);
});

const ok = (id: string) => ({ job: jobId(id), when: 'ok' }) as const;

test.each<[string, Partial<JobSpec>]>([
  ['name', { name: '' }],
  ['name', { name: 'x'.repeat(129) }],
  ['name', { name: 'a\nb' }],
  ['command', { command: [] }],
  ['command', { command: [''] }],
  ['command', { command: ['echo', 'a\0b'] }],
  ['command', { command: ['echo', 'x'.repeat(200_000)] }],
  ['env.GRID_TASK', { env: { GRID_TASK: '1' } }],
  ['env.1A', { env: { '1A': '1' } }],
  ['env.A', { env: { A: '\0' } }],
  ['inputs[0].from', { inputs: [{ from: '../secret', to: 'x' }] }],
  ['inputs[0].to', { inputs: [{ from: 'x', to: '/etc/passwd' }] }],
  ['inputs[0].to', { inputs: [{ from: 'x', to: '.grid/x' }] }],
  ['outputs[0]', { outputs: ['a/../../b'] }],
  ['outputs', { outputs: ['a'], liveOutputs: ['b'] }],
  ['stdin', { stdin: '/dev/zero' }],
  ['cpus', { resources: { ...resources, cpus: 0 } }],
  ['cpus', { resources: { ...resources, cpus: 1.5 } }],
  ['memory', { resources: { ...resources, memoryBytes: -1 } }],
  ['memory', { resources: { ...resources, memoryBytes: 2 ** 60 } }],
  ['disk', { resources: { ...resources, diskBytes: -1 } }],
  ['disk', { resources: { ...resources, diskBytes: Number.POSITIVE_INFINITY } }],
  ['gpu-model', { resources: { ...resources, gpuModel: 'a100' } }],
  ['gpu-model', { resources: { ...resources, gpus: 1, gpuModel: '--' } }],
  ['licences.a b', { resources: { ...resources, licences: { 'a b': 1 } } }],
  ['licences.matlab', { resources: { ...resources, licences: { matlab: 0 } } }],
  ['gpus', { resources: { ...resources, gpus: Number.NaN } }],
  ['nodes', { resources: { ...resources, nodes: 0 } }],
  ['walltime', { resources: { ...resources, walltimeMs: 0 } }],
  ['requirements', { requirements: 'x'.repeat(5_000) }],
  ['array', range(1, 1_000_001, 1)],
  ['array', range(1, 1_000_000_000, 1)],
  ['array', range(0, 10, 0)],
  ['array', range(5, 1, 1)],
  ['array', { array: { kind: 'list', values: [] } }],
  ['after[0]', { after: [{ job: jobId('yesterday'), when: 'ok' }] }],
  ['after[1]', { after: [ok('j0123456789b'), ok('j0123456789b')] }],
  ['inputs', { inputs: [{ from: 'job:yesterday', to: 'in' }] }],
  ['sites[0]', { sites: [siteId('Aachen!')] }],
  ['exclude-sites', { sites: [siteId('aachen')], excludeSites: [siteId('aachen')] }],
  ['vo', { vo: voName('No VO') }],
  ['retries', { retries: 101 }],
  ['max-running', { maxRunning: 0 }],
  ['max-running', { maxRunning: -1 }],
  ['group', { group: 'imaging' }],
  ['group', { group: '/demo/imaging/' }],
  ['group', { group: '/demo/Role=manager' }],
  ['group', { group: '/atlas/imaging' }],
  ['retry-memory', { retryMemory: 0.5 }],
  ['retry-memory', { retryMemory: 1e9 }],
  ['retry-memory', { retryMemory: Number.NaN }],
])('%s of %o is refused', (where, details) => {
  expect(checkSpec(specOf(details)).map((problem) => problem.where)).toEqual([where]);
});

test('all problems come in one answer', () => {
  const spec = specOf({ name: '', command: [], retries: -1 });
  expect(checkSpec(spec).map(({ where }) => where)).toEqual(['name', 'command', 'retries']);
});

test('lists that are far too long are refused in a moment', () => {
  const many = (stem: string): readonly string[] =>
    Array.from({ length: 120_000 }, (_, index) => `${stem}${index}`);
  const [sites, excludeSites] = [many('a').map(siteId), many('b').map(siteId)];
  const files = { outputs: many('c'), liveOutputs: many('d') };
  const wheres = checkSpec(specOf({ sites, excludeSites, ...files })).map(({ where }) => where);
  expect(new Set(wheres)).toEqual(new Set(['outputs', 'sites', 'exclude-sites']));
});
