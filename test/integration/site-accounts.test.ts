import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { TreeRef } from '../../core/data/manifest.ts';
import { filesOf } from '../../core/data/select.ts';
import { Acceptance } from '../../proto/gen/grid/v1/site.ts';
import { treeFromWire } from '../../service/rpc/wire.ts';
import { fetchTree } from '../../service/staging/fetch-tree.ts';
import { loadManifest } from '../../service/staging/read-tree.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { openAccounts } from '../../site-gateway/accounts/account-map.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { startTestNats, type TestNats, testNatsBinary } from '../fakes/nats.ts';
import { EPOCH, type Placed, startTestSite, type TestSite } from '../fakes/test-site.ts';
import { needs } from '../setup/needs.ts';
import { makeTestAccount, type TestAccount } from '../setup/test-account.ts';

needs('bwrap', 'bubblewrap');

const ALICE = '/DC=org/DC=test/CN=Alice';
const BOB = '/DC=org/DC=test/CN=Bob';
const EVE = '/DC=org/DC=test/CN=Eve';

let alice: TestAccount;
let others: TestAccount;
let grid: LiveGrid;
let nats: TestNats;
let site: TestSite;
let member: ReturnType<TestNats['open']>;
let scratch: string;
beforeAll(async () => {
  alice = makeTestAccount('grid-alice');
  others = makeTestAccount('grid-demo');
  scratch = mkdtempSync(join(tmpdir(), 'hanse-accounts-'));
  chmodSync(scratch, 0o711);
  grid = await openLiveGrid();
  nats = await startTestNats({ binary: await testNatsBinary(), vos: ['demo'] });
  await writeFile(join(grid.trustDir, 'nats.pem'), nats.caPem);
  const settings = [
    'cpus: 4',
    'memory: 4G',
    'live-every: 1s',
    'accounts:',
    `  - { dn: ${EVE}, deny: true }`,
    `  - { dn: ${ALICE}, account: ${alice.name} }`,
    `  - { dn: '/DC=org/DC=test/*', fqan: /demo, account: ${others.name} }`,
  ];
  site = await startTestSite(grid, 'mapped', settings, join(scratch, 'spool'));
  member = nats.open('demo');
  await site.giveTicket(nats.accounts, 'demo');
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await member[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
  alice[Symbol.dispose]();
  others[Symbol.dispose]();
  rmSync(scratch, { recursive: true });
});

let count = 0;
const start = async (script: string, part: Partial<Placed['spec']> = {}, more = {}) => {
  count += 1;
  const id = `mapped-${count}`;
  await site.place([{ id, spec: { command: ['sh', '-c', script], ...part }, ...more }]);
  return id;
};
const run = async (script: string, part: Partial<Placed['spec']> = {}, more = {}) => {
  const id = await start(script, part, more);
  return { id, ...(await site.outcomeOf(id)) };
};
const cancel = (id: string): Promise<unknown> =>
  site.call().control({ epoch: EPOCH, cancel: [id], acknowledgedSeq: 0 });
const directoryOf = (id: string): string => join(site.spool, 'attempts', id);
const stdoutOf = (id: string): string => readFileSync(join(directoryOf(id), 'stdout'), 'utf8');
const input = async (text: string): Promise<TreeRef> => {
  const root = await mkdtemp(join(scratch, 'in-'));
  await writeFile(join(root, 'in.txt'), text);
  return (await sendTree(member, { root, paths: ['.'] })).tree;
};
const IN = { inputs: [{ from: 'in.txt', to: 'in.txt' }] } as const;

describe.for(['account', 'namespaces', 'cgroup'] as const)('in the class %s', (sandbox) => {
  test('a task runs as the account of its owner, with nothing of root', async () => {
    const script = 'id -un; id -Gn; echo $USER $LOGNAME; pwd; grep CapEff /proc/self/status; umask';
    const mine = await run(script, { sandbox });
    expect(mine).toMatchObject({ reason: '', detail: '' });
    const work = join(directoryOf(mine.id), 'work');
    expect(stdoutOf(mine.id).split('\n').slice(0, 5)).toEqual([
      alice.name,
      alice.name,
      `${alice.name} ${alice.name}`,
      work,
      `CapEff:\t${'0'.repeat(16)}`,
    ]);
    const bobs = await run('id -un', { sandbox }, { owner: BOB });
    expect(stdoutOf(bobs.id)).toBe(`${others.name}\n`);
  });

  test('no program of root runs in the environment of a job', async () => {
    const work = join(directoryOf(`mapped-${count + 1}`), 'work');
    // The loader of each program that runs in it writes a file.
    const env = { LD_DEBUG: 'files', LD_DEBUG_OUTPUT: join(work, 'load') };
    const mine = await run('', { command: ['/bin/true'], env, sandbox });
    expect(mine).toMatchObject({ reason: '' });
    const loads = readdirSync(work).filter((name) => name.startsWith('load.'));
    const files = loads.map((name) => readFileSync(join(work, name), 'utf8'));
    expect(files.map((text) => /initialize program: (.*)/.exec(text)?.[1])).toEqual(['/bin/true']);
  });

  test('it reads its inputs, cannot change them for others, and its outputs come back', async () => {
    const inputs = await input(`of ${sandbox}\n`);
    const script = `chmod u+w in.txt; echo evil >in.txt; ln in.txt kept; mv in.txt gone
      cat - gone; mkdir -p a/b; cp gone a/b/out; echo $TMPDIR/x >$TMPDIR/x && cat "$GRID_HOSTFILE"`;
    const more = { ...IN, stdin: 'in.txt', outputs: ['a'], sandbox };
    const mine = await run(script, more, { inputs });
    expect(mine).toMatchObject({ reason: '', detail: '' });
    expect(stdoutOf(mine.id)).toBe(`of ${sandbox}\nof ${sandbox}\nlocalhost\n`);
    const target = await mkdtemp(join(scratch, 'out-'));
    await fetchTree(member, mine.outputs, target);
    expect(await readFile(join(target, 'a/b/out'), 'utf8')).toBe(`of ${sandbox}\n`);
    const bobs = await run('cat in.txt', { ...IN, sandbox }, { inputs, owner: BOB });
    expect(stdoutOf(bobs.id)).toBe(`of ${sandbox}\n`);
  });

  test('it changes inputs that it has asked copies of, for itself', async () => {
    const inputs = await input(`of ${sandbox}\n`);
    const more = { ...IN, sandbox } as const;
    const script = 'echo mine >>in.txt && cat in.txt';
    const copied = await run(script, { ...more, inputsAs: 'copy' }, { inputs });
    expect(stdoutOf(copied.id)).toBe(`of ${sandbox}\nmine\n`);
    const linked = await run(`cat in.txt; ${script}`, more, { inputs });
    expect(linked).toMatchObject({ reason: 'EXIT_NONZERO' });
    expect(stdoutOf(linked.id)).toBe(`of ${sandbox}\n`);
  });

  test('a cancelled task ends with all that it started', async () => {
    const id = await start('(setsid sleep 300 &); sleep 300 & wait', {
      sandbox,
    });
    const has = (): string => {
      try {
        return execFileSync('pgrep', ['-r', 'R,S,D', '-u', alice.name, 'sleep'], {
          encoding: 'utf8',
        });
      } catch {
        return '';
      }
    };
    await expect.poll(() => has().trim().split('\n')).toHaveLength(2);
    await cancel(id);
    await site.outcomeOf(id);
    expect(has()).toBe('');
  });
});

describe('between accounts', () => {
  test('what is of one task and what is of the gateway is closed to another account', async () => {
    const id = await start('echo secret; sleep 300');
    const started = join(directoryOf(id), 'started');
    await expect.poll(() => readFileSync(started, 'utf8')).toContain('\n');
    const script = `for f in work tmp stdout order started; do cat ${directoryOf(id)}/$f && ls ${directoryOf(id)}/$f; done
      ls ${site.spool} ${site.spool}/attempts ${site.spool}/cache; cat ${site.spool}/journal.db ${site.spool}/nkey.seed
      kill -9 -1; echo x >${directoryOf(id)}/limit; true`;
    const spy = await run(script, {}, { owner: BOB });
    // What may be read is what every process of the machine sees anyway: when it started, and when the machine did.
    expect(stdoutOf(spy.id).replace(/^.*\(sh\).*\n[\d.]+\n[\da-f-]{36}\n.*started\n/m, '')).toBe(
      '',
    );
    expect(existsSync(join(directoryOf(id), 'limit'))).toBe(false);
    await cancel(id);
  });

  test('a member without an account is refused, and so is one who is denied', async () => {
    const spec = { command: ['true'] };
    const owners = [EVE, '/DC=net/DC=elsewhere/CN=Zoe'];
    const answers = await site.place(
      owners.map((owner, at) => ({ id: `refused-${at}`, spec, owner })),
    );
    expect(answers).toMatchObject([
      {
        acceptance: Acceptance.ACCEPTANCE_REFUSED,
        reason: 'NO_ACCOUNT',
        detail: `the site denies an account to ${EVE} in VO demo`,
      },
      { reason: 'NO_ACCOUNT', detail: `the site has no account for ${owners[1]} in VO demo` },
    ]);
  });
});

describe('an account that means harm', () => {
  test('gets no file of others as an output: links are refused, hard links cannot be made', async () => {
    const shadow = await run('ln -s /etc/shadow out', { outputs: ['out'] });
    expect(shadow).toMatchObject({ reason: 'OUTPUT_REFUSED' });
    const hard = await run(`ln ${site.spool}/../secret out; ln /etc/shadow out; true`, {
      outputs: ['out'],
    });
    expect(hard).toMatchObject({ reason: 'OUTPUT_MISSING' });
    const folder = await run('ln -s /etc out', { outputs: ['out/shadow'] });
    expect(folder.reason).toMatch(/^OUTPUT_(?:MISSING|REFUSED)$/);
  });

  test('leads the gateway nowhere by links in its directories', async () => {
    const victim = await mkdtemp(join(scratch, 'victim-'));
    await writeFile(join(victim, 'file'), 'kept');
    const mine = await run(
      `ln -s ${victim} .grid; ln -s ${victim} more; rm -f $TMPDIR/grid-hosts; ln -s ${victim}/new $TMPDIR/grid-hosts; echo said`,
    );
    expect(mine).toMatchObject({ reason: '' });
    expect(await readFile(join(victim, 'file'), 'utf8')).toBe('kept');
    expect(existsSync(join(victim, 'stdout'))).toBe(false);
    // It is root's by now, against those who are still there under the same account.
    expect((await stat(join(directoryOf(mine.id), 'work'))).uid).toBe(0);
    const late = await run(`ls ${directoryOf(mine.id)}/work; touch ${directoryOf(mine.id)}/work/x`);
    expect(stdoutOf(late.id)).toBe('');
  });
});

describe('live outputs of an account', () => {
  /** Files of the live outputs of an attempt, each time that they are told of. */
  async function* liveOf(id: string): AsyncGenerator<Readonly<Record<string, string>>> {
    const stop = new AbortController();
    const { signal } = stop;
    try {
      for await (const { attemptId, live } of site
        .call()
        .watch({ epoch: EPOCH, afterSeq: 0 }, { signal })) {
        const tree = treeFromWire(live?.tree);
        if (attemptId !== id || tree.digest === '') continue;
        const target = await mkdtemp(join(scratch, 'live-'));
        await fetchTree(member, tree, target);
        const { entries } = await loadManifest(member, tree);
        const files = filesOf({ entries }).map(
          async ({ path }) => [path, await readFile(join(target, path), 'utf8')] as const,
        );
        yield Object.fromEntries(await Promise.all(files));
      }
    } finally {
      stop.abort();
    }
  }

  test('are had, also what it alone may read; a folder that becomes a link leads nowhere', async () => {
    const victim = await mkdtemp(join(scratch, 'victim-'));
    await writeFile(join(victim, 'file'), 'of root');
    const script = `umask 077; mkdir -p out; echo mine > out/file; echo mine > own
      while :; do mv out real; ln -s ${victim} out; sleep .02; rm out; mv real out; date > own; sleep .02; done`;
    const spec = { outputs: ['own', 'out'], liveOutputs: ['own', 'out'] };
    const id = await start(script, spec);
    let times = 0;
    let seen: Readonly<Record<string, string>> = {};
    for await (const files of liveOf(id)) {
      seen = { ...seen, ...files };
      expect(Object.values(files)).not.toContain('of root');
      times += 1;
      if (times === 3) break;
    }
    expect(Object.keys(seen)).toEqual(expect.arrayContaining(['own', '.grid/stdout']));
    await cancel(id);
  });
});

describe('a map that cannot be', () => {
  const problemsOf = (accounts: readonly object[], lrms = 'fork'): readonly string[] => {
    const whole = accounts.map((rule) => ({ deny: false, system: false, dn: '*', ...rule }));
    try {
      openAccounts({ accounts: whole, lrms, spool: site.spool } as never);
      return [];
    } catch (error) {
      const { problems = [] } = error as { problems?: readonly { message: string }[] };
      return problems.map(({ message }) => message);
    }
  };

  test('is an error at the start that names each account', () => {
    expect(
      problemsOf([
        { account: 'no-such-account' },
        { account: 'root', system: true },
        { account: 'daemon' },
        { account: alice.name },
      ]),
    ).toEqual([
      "there is no account 'no-such-account' on this machine",
      "'root' is root: no task of the grid runs as root",
      "'daemon' is an account of the system (uid 1): say 'system: true' if it is meant",
    ]);
    expect(problemsOf([{ account: 'daemon', system: true }])).toEqual([]);
  });

  test('an account that cannot get to the spool is one', () => {
    chmodSync(scratch, 0o700);
    try {
      expect(problemsOf([{ account: alice.name }])[0]).toContain(`'${alice.name}' cannot get to`);
    } finally {
      chmodSync(scratch, 0o711);
    }
  });

  test('a gateway that is not root, and a batch system for which there is none, say so', () => {
    for (const lrms of ['htcondor', 'command'])
      expect(problemsOf([{ account: alice.name }], lrms)).toEqual([
        `they need one of fork, slurm, gridengine; with 'lrms: ${lrms}' the gateway cannot tell whose a job is: leave 'accounts' out, and all tasks run as the gateway's own account`,
      ]);
    const spy = vi.spyOn(process, 'getuid').mockReturnValue(1_000);
    expect(problemsOf([{ account: alice.name }])[0]).toContain('does not run as root');
    spy.mockRestore();
    expect(statSync(site.spool).mode & 0o777).toBe(0o711);
  });
});
