import { expect, test } from 'vitest';
import { siteId } from '../../../core/ids.ts';
import { adviceFor, formatAdvice } from '../../../core/match/advice.ts';
import { openRules } from '../../../service/expression/rules.ts';
import { askFor, siteOf } from '../../fakes/offers.ts';

const GIB = 2 ** 30;
const RULES = openRules();

const lines = (
  ...[ask, sites]: [Parameters<typeof adviceFor>[0], Parameters<typeof adviceFor>[1]]
) => adviceFor(ask, sites, RULES).map(formatAdvice);

test('memory comes down to what the largest site has, rounded so that it can be asked for', () => {
  const sites = [
    siteOf('aachen', { totalMemoryBytes: 32 * GIB }),
    siteOf('bremen', { totalMemoryBytes: 7.7 * GIB }),
  ];
  expect(lines(askFor({}, { memoryBytes: 64 * GIB }), sites)).toEqual([
    'with `memory: 32G`, 1 site could run it: aachen',
  ]);
  expect(lines(askFor({}, { memoryBytes: 64 * GIB }), sites.slice(1))).toEqual([
    'with `memory: 7884M`, 1 site could run it: bremen',
  ]);
});

test('a job that waits for room hears with what it would start now, and where', () => {
  const sites = ['a', 'b', 'c', 'd'].map((name) => siteOf(name, { freeCpus: 2 }));
  expect(lines(askFor({}, { cpus: 4 }), sites)).toEqual([
    'with `cpus: 2`, it could start now at 4 sites: a, b, c, ...',
  ]);
});

test('nothing is said where a site has room, or where no two changes help', () => {
  expect(lines(askFor(), [siteOf('aachen')])).toEqual([]);
  const many = askFor({ sites: [siteId('bremen')] }, { cpus: 9, memoryBytes: 99 * GIB });
  expect(lines(many, [siteOf('aachen')])).toEqual([]);
});

test('a term of the requirements goes before all of them do', () => {
  const ask = askFor({ requirements: 'site.cpus > 2 && ("cuda" in site.features || false)' });
  expect(lines(ask, [siteOf('aachen')])).toEqual([
    'without `("cuda" in site.features || false)`, 1 site could run it: aachen',
  ]);
  const both = askFor({ requirements: 'site.cpus > 8 && "cuda" in site.features' });
  expect(lines(both, [siteOf('aachen')])).toEqual([
    'without `requirements`, 1 site could run it: aachen',
  ]);
});

test('two changes are advised where none helps alone', () => {
  const ask = askFor({}, { cpus: 8, walltimeMs: 7_200_000 });
  expect(lines(ask, [siteOf('aachen', { maxWalltimeMs: 5_400_000 })])).toEqual([
    'with `cpus: 4` and with `walltime: 1h30m`, 1 site could run it: aachen',
  ]);
});

test('a site that takes only wide jobs is passed over, not wrongly advised', () => {
  const wide = siteOf('aachen', { policy: 'job.cpus >= 4', freeCpus: 0 });
  expect(lines(askFor({}, { cpus: 6 }), [wide])).toEqual([]);
});
