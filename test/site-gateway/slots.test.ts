import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openSlots, parseCpuList, type Share } from '../../site-gateway/lrms/fork/slots.ts';

test.for<[string, number[]]>([
  ['0-3', [0, 1, 2, 3]],
  ['0,2-3,8\n', [0, 2, 3, 8]],
  ['5', [5]],
  ['', []],
])('the list %o is the CPUs %o', ([text, cpus]) => expect(parseCpuList(text)).toEqual(cpus));

test('two tasks of one CPU are bound to different cores, in turn from the first', () => {
  const slots = openSlots({ cpus: 4, memoryBytes: 10 }, [0, 1, 2, 3], 6);
  const need = { cpus: 1, memoryBytes: 1 };
  expect([1, 2, 3].map(() => slots.take(need)?.cpuSet)).toEqual(['2', '3', '0']);
});

test('a task that wants every core is not bound, nor is any without cores to bind to', () => {
  const need = { cpus: 2, memoryBytes: 1 };
  expect(openSlots({ cpus: 2, memoryBytes: 9 }, [0, 1], 0).take(need)?.cpuSet).toBeUndefined();
  expect(openSlots({ cpus: 9, memoryBytes: 9 }, [], 0).take(need)?.cpuSet).toBeUndefined();
});

test('a task that runs already gets its share even where there is no room', () => {
  const slots = openSlots({ cpus: 1, memoryBytes: 1 }, [], 0);
  const share = slots.force({ cpus: 3, memoryBytes: 3 });
  expect(slots.take({ cpus: 1, memoryBytes: 1 })).toBeUndefined();
  slots.give(share);
  expect(slots.take({ cpus: 1, memoryBytes: 1 })).toBeDefined();
});

test('no more is ever taken than there is, and no core has two tasks while another has none', () => {
  const total = { cpus: 4, memoryBytes: 100 };
  const need = fc.record({ cpus: fc.integer({ min: 1, max: 3 }), memoryBytes: fc.nat(60) });
  const step = fc.oneof(need, fc.nat(9));
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      const slots = openSlots(total, [0, 1, 2, 3], 1);
      let held: Share[] = [];
      for (const one of steps) {
        const share = typeof one === 'number' ? undefined : slots.take(one);
        const returned = typeof one === 'number' ? held[one % Math.max(held.length, 1)] : undefined;
        held = [...held, share].filter(
          (each) => each !== undefined && each !== returned,
        ) as Share[];
        [returned].filter((each) => each !== undefined).forEach((each) => slots.give(each));
        const sum = (key: 'cpus' | 'memoryBytes') => held.reduce((all, each) => all + each[key], 0);
        expect(sum('cpus')).toBeLessThanOrEqual(total.cpus);
        expect(sum('memoryBytes')).toBeLessThanOrEqual(total.memoryBytes);
        const cores = held.flatMap(({ cpuSet = '' }) => cpuSet.split(',').filter((core) => core));
        expect(new Set(cores).size).toBe(cores.length);
      }
    }),
  );
});
