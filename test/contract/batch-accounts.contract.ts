import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { State } from '../../proto/gen/grid/v1/common.ts';
import { fetchTree } from '../../service/staging/fetch-tree.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { wordsAs } from '../../site-gateway/accounts/account.ts';
import type { LiveGrid } from '../fakes/live-grid.ts';
import type { TestNats } from '../fakes/nats.ts';
import { resourcesOf } from '../fakes/offers.ts';
import { EPOCH, type Placed, startTestSite, type TestSite } from '../fakes/test-site.ts';
import { makeTestAccount, type TestAccount } from '../setup/test-account.ts';

const ALICE = '/DC=org/DC=test/CN=Alice';
const BOB = '/DC=org/DC=test/CN=Bob';
const CAROL = '/DC=org/DC=test/CN=Carol';

/** What the batch system of the tests can be asked for. */
export interface AccountSystem {
  /** Lines of the gateway's configuration. */
  readonly settings: readonly string[];
  /** Lets an account use its commands. */
  openTo(account: TestAccount): void;
  /** What its queue says the jobs in it are; '' for none. */
  queue(): Promise<string>;
  /** Names of their owners, one a line. */
  owners(): Promise<string>;
  /** Words of the command that submits a job that is called so and does `sleep 600`. */
  sleeper(name: string): readonly string[];
}

const SOON = { timeout: 120_000 };

/** By what an account replaces that which the gateway looks for where it can write. */
const PLANTS = { started: 'mkfifo', ended: 'mkdir', noticed: 'mkfifo', kill: 'ln -s /nowhere' };

/** Of a task that ends its own script, and then says what it likes. */
const LIES = `rm -f ../status ../usage ../stdout; ln -s /etc/shadow ../limit; echo up
  printf '0 1e300\\nx\\n99999999999999999999m1s 1m1s\\nend\\n' >../status
  echo '99999999999999 99999999999999999999999 1e308' >>../usage
  kill -KILL $PPID; sleep 300`;

/** Ends all processes of the account that says it but its own shell, at one moment. */
const END_ALL = 'kill -KILL -1';

/** Command lines of the processes of an account that a test has made. */
const linesOf = (account: TestAccount): string =>
  spawnSync('ps', ['-o', 'args=', '-u', String(account.uid)], { encoding: 'utf8' }).stdout;

/** Tasks of several accounts, and accounts that mean harm, on a real batch system with room for two tasks of one CPU. */
export function batchAccountsContract(
  systemName: string,
  around: () => {
    readonly system: AccountSystem;
    readonly grid: LiveGrid;
    readonly nats: TestNats;
  },
): void {
  describe(`on a ${systemName} site that maps its users to accounts`, () => {
    let system: AccountSystem;
    let alice: TestAccount;
    let bob: TestAccount;
    let carol: TestAccount;
    let site: TestSite;
    let scratch: string;
    let member: ReturnType<TestNats['open']>;
    beforeAll(async () => {
      const { grid, nats } = around();
      ({ system } = around());
      alice = makeTestAccount('a');
      bob = makeTestAccount('b');
      carol = makeTestAccount('c');
      for (const account of [alice, bob, carol]) system.openTo(account);
      scratch = mkdtempSync(join(tmpdir(), 'hanse-batch-accounts-'));
      chmodSync(scratch, 0o711);
      await writeFile(join(scratch, 'secret'), 'of-root\n', { mode: 0o600 });
      const settings = [
        'accounts:',
        `  - { dn: ${ALICE}, account: ${alice.name} }`,
        `  - { dn: ${CAROL}, account: ${carol.name} }`,
        `  - { dn: '/DC=org/DC=test/*', fqan: /demo, account: ${bob.name} }`,
      ];
      const lines = [...system.settings, ...settings];
      site = await startTestSite(grid, 'mapped', lines, join(scratch, 'spool'));
      member = nats.open('demo');
      await site.giveTicket(nats.accounts, 'demo');
    });
    afterAll(async () => {
      await site[Symbol.asyncDispose]();
      await member[Symbol.asyncDispose]();
      rmSync(scratch, { recursive: true, maxRetries: 5 });
      for (const account of [alice, bob]) account[Symbol.dispose]();
    });

    const place = async (
      id: string,
      script: string,
      more: Partial<Placed['spec']> = {},
      owner = ALICE,
      inputs?: Placed['inputs'],
    ) => {
      const spec = { command: ['sh', '-c', script], ...more };
      const answers = await site.place([{ id, spec, owner, ...(inputs && { inputs }) }]);
      expect(answers).toMatchObject([{ reason: '' }]);
      return id;
    };
    const cancel = (ids: readonly string[]): Promise<unknown> =>
      site.call().control({ epoch: EPOCH, cancel: [...ids], acknowledgedSeq: 0 });
    const directoryOf = (id: string): string => join(site.spool, 'attempts', id);
    const stdoutOf = (id: string): Promise<string> =>
      readFile(join(directoryOf(id), 'stdout'), 'utf8').catch(() => '');
    const said = (id: string, words: string): Promise<void> =>
      expect.poll(() => stdoutOf(id), SOON).toContain(words);
    const queueIs = (words: string): Promise<void> =>
      expect.poll(() => system.queue(), SOON).toBe(words);
    const as = (account: TestAccount, script: string): string => {
      const [program = '', ...words] = wordsAs(account, '/dev/null');
      const options = { cwd: '/', encoding: 'utf8', stdio: 'pipe' } as const;
      return execFileSync(program, [...words, 'sh', '-c', script], options);
    };
    /** As after a crash; `meanwhile` there is no gateway. */
    const restart = async (meanwhile = (): void => undefined): Promise<void> => {
      await site.kill();
      meanwhile();
      await site.start();
      await site.giveTicket(around().nats.accounts, 'demo');
    };
    /** Where the marks of an attempt are, and its number there. */
    const placeOf = (id: string) => {
      const root = join(site.spool, 'submissions');
      for (const token of readdirSync(root)) {
        const text = execFileSync('cat', [join(root, token, 'tasks')], { encoding: 'utf8' });
        const at = text.split('\n').indexOf(id);
        if (at >= 0) return { token, marks: join(root, token, 'marks'), index: at + 1 };
      }
      throw new Error(`${id} is in no submission`);
    };

    test('tasks run as the accounts of their owners, and bring their outputs back', async () => {
      const root = await mkdtemp(join(scratch, 'in-'));
      await writeFile(join(root, 'in.txt'), 'words\n');
      const inputs = (await sendTree(member, { root, paths: ['.'] })).tree;
      const script = `id -un; echo $USER; grep CapEff /proc/self/status; cat in.txt
        mkdir -p a; cp in.txt a/out; cat "$GRID_HOSTFILE" >$TMPDIR/x; until test -e ${scratch}/go; do sleep 0.1; done`;
      const more = { inputs: [{ from: 'in.txt', to: 'in.txt' }], outputs: ['a'] };
      const placed = [ALICE, BOB].map((owner, at) => ({
        id: `whole-${at}`,
        spec: { command: ['sh', '-c', script], ...more },
        owner,
        inputs,
      }));
      await site.place(placed);
      await expect
        .poll(async () => (await system.owners()).split('\n').toSorted())
        .toEqual([alice.name, bob.name]);
      await writeFile(join(scratch, 'go'), '');
      for (const [at, account] of [alice, bob].entries()) {
        const outcome = await site.outcomeOf(`whole-${at}`);
        expect(outcome).toMatchObject({ state: State.STATE_DONE, reason: '', detail: '' });
        expect(outcome.usage.wallMs).toBeGreaterThan(0);
        const lines = [account.name, account.name, `CapEff:\t${'0'.repeat(16)}`, 'words', ''];
        expect(await stdoutOf(`whole-${at}`)).toBe(lines.join('\n'));
        expect(statSync(join(directoryOf(`whole-${at}`), 'work/a/out')).uid).toBe(account.uid);
        const target = await mkdtemp(join(scratch, 'out-'));
        await fetchTree(member, outcome.outputs, target);
        expect(await readFile(join(target, 'a/out'), 'utf8')).toBe('words\n');
      }
    });

    test('tasks are held to their limits', async () => {
      const greed = `x=$(head -c ${2 ** 27} /dev/zero | tr '\\0' x); sleep 60`;
      const late = { resources: resourcesOf({ memoryBytes: 2 ** 26, walltimeMs: 1_000 }) };
      await place('greedy', greed, {
        resources: resourcesOf({ memoryBytes: 2 ** 26, walltimeMs: 60_000 }),
      });
      await place('late', 'while :; do sleep 0.1; done', late, BOB);
      const little = { memoryBytes: 2 ** 26, walltimeMs: 60_000, diskBytes: 2 ** 24 };
      const hoard = 'head -c 50000000 /dev/zero >$TMPDIR/big; sleep 60';
      await place('hoarder', hoard, { resources: resourcesOf(little) });
      expect(await site.outcomeOf('greedy')).toMatchObject({ reason: 'MEMORY_EXCEEDED' });
      expect(await site.outcomeOf('hoarder')).toMatchObject({ reason: 'DISK_EXCEEDED' });
      expect(await site.outcomeOf('late')).toMatchObject({ reason: 'WALLTIME_EXCEEDED' });
    });

    test('one account sees nothing of another, and its jobs are not taken for that one', async () => {
      await place('runs-a', 'echo up; sleep 300', { env: { PASSWORD: 'hidden' } });
      await place('runs-b', 'echo up; (setsid sleep 300 &); sleep 300 & wait', {}, BOB);
      await said('runs-a', 'up');
      await said('runs-b', 'up');
      await place('waits-a', 'sleep 300');
      await place('waits-b', 'sleep 300', {}, BOB);
      const { token, marks, index } = placeOf('runs-a');
      const spy = `cd ${directoryOf('runs-a')}; cat work tmp stdout order status usage account; ls work tmp ${marks}
        cat ${marks}/${index}.started ${site.spool}/journal.db; ls . .. ${site.spool} ${marks}/..; true`;
      expect(as(bob, `(${spy}) 2>/dev/null`)).toBe('');
      as(bob, system.sleeper(`grid-${token}`).join(' '));
      const jobs = async (): Promise<readonly string[]> => (await system.owners()).split('\n');
      await expect.poll(async () => (await jobs()).length).toBe(5);
      await restart();
      const ids = ['runs-a', 'runs-b', 'waits-a', 'waits-b'];
      await cancel(ids);
      for (const id of ids)
        expect(await site.outcomeOf(id)).toMatchObject({ state: State.STATE_CANCELLED });
      // That one nobody has asked to cancel.
      await expect.poll(jobs).toEqual([bob.name]);
      // What a task has left behind may be there still, and is not it.
      await expect.poll(() => linesOf(bob), SOON).toMatch(/\bsleep 600$/m);
      as(bob, END_ALL);
      await queueIs('');
    });

    test('a restart takes up tasks of all accounts, whatever these plant and say meanwhile', async () => {
      await place('kept', 'echo ran; until test -e go; do sleep 0.1; done; exit 3');
      await place('planted', 'echo up; sleep 300');
      await place('behind', 'echo ran; exit 4', {}, BOB);
      await said('kept', 'ran');
      await said('planted', 'up');
      await restart(() => {
        as(alice, `touch ${directoryOf('kept')}/work/go`);
        const { marks, index } = placeOf('planted');
        for (const [what, plant] of Object.entries(PLANTS)) {
          const file = `${marks}/${index}.${what}`;
          as(alice, `rm -f ${file}; ${plant} ${file}`);
        }
        as(alice, `rm ${marks}/${index}.log; ln -s ${scratch}/secret ${marks}/${index}.log`);
      });
      expect(await site.outcomeOf('kept')).toMatchObject({ exitCode: 3 });
      expect(await site.outcomeOf('behind')).toMatchObject({ exitCode: 4 });
      for (const id of ['kept', 'behind']) expect(await stdoutOf(id)).toBe('ran\n');
      await place('liar', LIES);
      await said('liar', 'up');
      // Their scripts are gone without a word: all that is left are marks and lies.
      as(alice, END_ALL);
      const planted = await site.outcomeOf('planted');
      expect(planted).toMatchObject({ state: State.STATE_FAILED, failure: 'site' });
      expect(planted.detail).not.toContain('of-root');
      expect(await readFile(join(scratch, 'secret'), 'utf8')).toBe('of-root\n');
      const { usage, ...liar } = await site.outcomeOf('liar');
      expect(liar).toMatchObject({ state: State.STATE_DONE, exitCode: 0 });
      expect(existsSync(join(directoryOf('liar'), 'limit'))).toBe(false);
      expect(usage.peakMemoryBytes).toBeLessThanOrEqual(2 ** 45);
      expect(usage.cpuMs).toBeLessThan(2 ** 40);
      await queueIs('');
    });

    test('an account that is no longer there is said to be missing, and others go on', async () => {
      carol[Symbol.dispose]();
      await place('orphan', 'true', {}, CAROL);
      await place('after', 'true', {}, BOB);
      expect(await site.outcomeOf('orphan')).toMatchObject({
        failure: 'site',
        reason: 'SITE_REFUSED',
        detail: expect.stringContaining(`nothing can be submitted as '${carol.name}': uid`),
      });
      expect(await site.outcomeOf('after')).toMatchObject({ state: State.STATE_DONE });
    });
  });
}
