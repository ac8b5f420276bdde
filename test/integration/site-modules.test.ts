import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dn } from '../../core/ids.ts';
import { askOf } from '../../core/match/ask.ts';
import type { Offer } from '../../core/match/offer.ts';
import { lastingRefusal } from '../../core/match/refusal.ts';
import { Acceptance } from '../../proto/gen/grid/v1/site.ts';
import { offerFromWire } from '../../service/rpc/wire.ts';
import { findModules } from '../../site-gateway/software/find-modules.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { NO_RULES, specOf } from '../fakes/offers.ts';
import { EPOCH, type Placed, startTestSite, type TestSite } from '../fakes/test-site.ts';
import { needs } from '../setup/needs.ts';
import { makeModuleTree } from '../support/module-tree.ts';

needs('bwrap', 'bubblewrap');
const PATH = '/usr/bin:/bin';
const modules = makeModuleTree();

let grid: LiveGrid;
let site: TestSite;
beforeAll(async () => {
  grid = await openLiveGrid();
  const settings = [
    'cpus: 4',
    'memory: 4G',
    'staging-patience: 0s',
    'modules:',
    `  init: ${modules.init}`,
  ];
  site = await startTestSite(grid, 'stocked', settings);
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
  modules[Symbol.dispose]();
});

let count = 0;
const run = async (part: Placed['spec']) => {
  count += 1;
  const id = `stocked-${count}`;
  await site.place([{ id, spec: part }]);
  const outcome = await site.outcomeOf(id);
  const read = (name: string): string =>
    readFileSync(join(site.spool, 'attempts', id, name), 'utf8');
  return { ...outcome, stdout: read('stdout'), stderr: read('stderr') };
};

const offerNow = async (): Promise<Offer> => {
  const stop = new AbortController();
  const stream = site.call().advertise({ epoch: EPOCH, leaseMs: 9_000 }, { signal: stop.signal });
  for await (const { offer } of stream) {
    stop.abort();
    if (offer !== undefined) return offerFromWire(offer);
  }
  throw new Error('the site has told no offer');
};

describe('what a site offers', () => {
  test('is what its module system lists, and a job for another module learns which it lacks', async () => {
    const offer = await offerNow();
    const own = ['broken/1', 'needs-other/3', 'tool/1', 'tool/2'];
    expect(offer.modules).toEqual(expect.arrayContaining(own));
    expect(offer.modules.filter((name) => !/^[\w./-]+$/.test(name))).toEqual([]);
    const caller = { dn: dn('/DC=org/DC=test/CN=Alice'), fqans: [] };
    const ask = askOf(specOf({ modules: ['tool', 'tool/3'] }), caller);
    expect(lastingRefusal(ask, offer, NO_RULES)).toMatchObject({
      code: 'no-module',
      detail: 'needs module tool/3, offers tool/1, tool/2',
    });
    const met = askOf(specOf({ modules: ['tool', 'broken/1'] }), caller);
    expect(lastingRefusal(met, offer, NO_RULES)).toBeUndefined();
  });

  test('is what its administrator names instead, without a look at the machine', async () => {
    const offer = ['z/1', 'a'];
    expect(await findModules({ init: '/nowhere', offer }, PATH)).toEqual(['a', 'z/1']);
    expect(await findModules(undefined, PATH)).toEqual([]);
  });

  test.for([
    ['/nowhere/init.sh', 'that file cannot be read'],
    ['/dev/null', "it defines no 'module' for sh"],
  ] as const)('cannot be read by way of %s, which is said at the start', async ([file, words]) => {
    await expect(findModules({ init: file }, PATH)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      problems: [{ where: 'modules.init', message: `${file}: ${words}` }],
    });
  });
});

describe('a task with modules', () => {
  test('finds their programs, gets its words byte for byte, and its streams are its own', async () => {
    const words = ['a b', '$(id)', 'q\'"\\', 'line\nbreak', '-x', ''];
    const one = await run({ command: ['tool', ...words], modules: ['tool/2'] });
    // Nothing takes its outputs away here.
    expect(one.exitCode).toBe(0);
    expect(one.stdout).toBe(`tool 2: ${words.join(' ')}\n`);
    expect(one.stderr).toBe('noise\n');
    const other = await run({ command: ['sh', '-c', 'tool; exit 7'], modules: ['tool'] });
    expect(other).toMatchObject({ exitCode: 7, reason: 'EXIT_NONZERO', stdout: 'tool 1: \n' });
  });

  test('finds them in namespaces, too', async () => {
    const command = ['sh', '-c', 'tool; echo x >/var/tmp/hanse-outside'];
    const boxed = await run({ command, modules: ['tool/2'], sandbox: 'namespaces' });
    expect(boxed.stdout).toBe('tool 2: \n');
    expect(boxed.stderr).toContain('Read-only file system');
  });

  test('has no more of the loader than its modules', async () => {
    const bare = await run({ command: ['env'] });
    const { stdout } = await run({ command: ['env'], modules: ['tool/1'] });
    const namesOf = (text: string): readonly string[] =>
      text.split('\n').map((line) => line.split('=')[0] ?? '');
    const more = namesOf(stdout).filter((name) => !namesOf(bare.stdout).includes(name));
    expect(more).toContain('LOADEDMODULES');
    expect(more.filter((name) => name.startsWith('_grid'))).toEqual([]);
    expect(stdout).toMatch(/^PWD=.*\/work$/m);
  });

  test.for(['broken/1', 'needs-other/3'])(
    'does not run where %s cannot be loaded, and says so',
    async (name) => {
      const ended = await run({ command: ['echo', 'ran'], modules: [name] });
      expect(ended).toMatchObject({ exitCode: 78, failure: 'site', reason: 'MODULE_FAILED' });
      expect(ended.detail).toMatch(`module '${name}' could not be loaded on node `);
      expect(ended.stdout).toBe('');
      expect(ended.stderr).toMatch(
        new RegExp(`grid: module '${name}' could not be loaded on node \\S+\\n$`),
      );
    },
  );

  test('is refused where the site has not all of them', async () => {
    const spec = { command: ['true'], modules: ['tool/1', 'gcc/99'] };
    expect(await site.place([{ id: 'lacking', spec }])).toMatchObject([
      {
        acceptance: Acceptance.ACCEPTANCE_REFUSED,
        reason: 'MODULE_MISSING',
        detail: 'it loads module gcc/99, the site has no module of that name',
      },
    ]);
  });
});
