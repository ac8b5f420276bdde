import { expect, test } from 'vitest';
import { add, fits, missingLicence, NO_NEED, needOf, subtract } from '../../../core/match/need.ts';
import { resourcesOf } from '../../fakes/offers.ts';

const plain = needOf(resourcesOf());
const licensed = needOf(resourcesOf({ licences: { matlab: 2 } }));

test('cpus, memory and gpus count on each node, disk and licences once', () => {
  const resources = resourcesOf({
    cpus: 4,
    memoryBytes: 8,
    gpus: 1,
    nodes: 3,
    diskBytes: 5,
    licences: { matlab: 2 },
  });
  expect(needOf(resources)).toEqual({
    cpus: 12,
    memoryBytes: 24,
    gpus: 3,
    diskBytes: 5,
    licences: { matlab: 2 },
  });
});

test('what is added can be taken off again, and nothing falls below zero', () => {
  const both = add(add(NO_NEED, plain), licensed);
  expect(both).toMatchObject({ cpus: 2, licences: { matlab: 2 } });
  expect(subtract(both, licensed)).toEqual({ ...plain, licences: { matlab: 0 } });
  expect(subtract(NO_NEED, licensed)).toEqual({ ...NO_NEED, licences: { matlab: 0 } });
});

test('needs without licences share one empty set, so that nobody looks into it', () => {
  expect(needOf(resourcesOf({ licences: {} })).licences).toBe(NO_NEED.licences);
  expect(subtract(licensed, plain).licences).toBe(licensed.licences);
});

test.each([
  ['cpus', { cpus: 3 }],
  ['memory', { memoryBytes: 2 ** 31 }],
  ['gpus', { gpus: 1 }],
  ['disk', { diskBytes: 1 }],
  ['licences', { licences: { matlab: 3 } }],
  ['licences that are not there', { licences: { ansys: 1 } }],
])('too few %s do not fit', (_what, more) => {
  const free = { ...needOf(resourcesOf({ cpus: 2 })), licences: { matlab: 2 } };
  expect(fits(needOf(resourcesOf({ licences: { matlab: 2 } })), free)).toBe(true);
  expect(fits(needOf(resourcesOf(more)), free)).toBe(false);
});

test('the licence that is missing is named', () => {
  expect(missingLicence({ a: 1, b: 2 }, { a: 1, b: 1 })).toBe('b');
  expect(missingLicence({ a: 1 }, { a: 1 })).toBeUndefined();
});
