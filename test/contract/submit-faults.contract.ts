import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import type { Account } from '../../site-gateway/accounts/account.ts';
import { handOver } from '../../site-gateway/accounts/hand-over.ts';
import type { BatchSystem } from '../../site-gateway/lrms/batch/batch-system.ts';
import type { LrmsTask } from '../../site-gateway/lrms/lrms.ts';
import { makeTestAccount, type TestAccount } from '../setup/test-account.ts';
import { processesNaming } from '../support/daemons.ts';
import { openPort, type Port, SOON } from '../support/lrms-port.ts';
import { makeStumbling, type Stumble, type Stumbling } from '../support/stumbling.ts';

const MARKS = `marks=$(tr '\\0' '\\n' </proc/$PPID/cmdline | grep /marks$)`;

/** What a task of an account does to its own script, and to all that it can write there. */
const HARM = {
  frozen: 'echo up; kill -STOP $PPID; sleep 300',
  shut: `${MARKS}; chmod 0 "$marks" ../stdout ../status ../usage; echo up; exit 3`,
  swept: `${MARKS}; rm -rf "$marks"/* ../work/* ../tmp/*; exit 4`,
  vast: `${MARKS}; truncate -s 1T ../stdout ../status ../usage ../disk "$marks"/*; exit 5`,
  pipes: `${MARKS}; cd "$marks"; for f in *; do rm "$f"; mkfifo "$f"; done; mkfifo 1.ended 2.ended 1.kill; exit 6`,
  links: `${MARKS}; cd "$marks"; for f in *; do rm "$f"; ln -s /etc/shadow "$f"; done; ln -s /etc/shadow 1.ended; kill -KILL $PPID`,
} as const;

interface Limits {
  readonly submitTimeoutMs: number;
}

/** A real batch system with room for some tasks. */
export interface SubmitSystem extends AsyncDisposable {
  /** As people call it. */
  readonly name: string;
  /** Its command that submits. */
  readonly command: string;
  /** PATH with its commands. */
  readonly path: string;
  /** `bin` goes before the path. */
  open(bin: string, limits?: Limits): BatchSystem;
  openTo(account: TestAccount): void;
  /** Submits a job that sleeps; gives its number. */
  stranger(): Promise<string>;
  /** Numbers of the jobs that are there. */
  jobs(): Promise<readonly string[]>;
  remove(job: string): Promise<unknown>;
}

/** What a gateway has to do with a batch system whose command that submits may stumble, in a directory of its own. */
interface Gateway extends AsyncDisposable {
  readonly dir: string;
  readonly port: Port;
  readonly commands: Stumbling;
  readonly stumble: (how: Stumble) => void;
  readonly calls: () => readonly string[];
  /** Ids of tasks that ran, as often as they did. */
  readonly ran: () => readonly string[];
  readonly closedReason: () => string;
}

async function openGateway(
  system: SubmitSystem,
  accounts: readonly TestAccount[],
  limits?: Limits,
): Promise<Gateway> {
  const dir = mkdtempSync(join(tmpdir(), 'hanse-submit-faults-'));
  chmodSync(dir, 0o711);
  const file = join(dir, 'ran');
  writeFileSync(file, '');
  chmodSync(file, 0o666);
  const commands = makeStumbling(join(dir, 'bin'), [system.command], system.path);
  const port = await openPort(system.open(commands.bin, limits), dir, accounts);
  const stumble = (how: Stumble): void => commands.stumble(system.command, how);
  return {
    dir,
    port,
    commands,
    stumble,
    calls: () => commands.callsOf(system.command),
    ran: () => readFileSync(file, 'utf8').trim().split('\n').toSorted(),
    closedReason: () => port.lrms.state().closedReason,
    [Symbol.asyncDispose]: async () => {
      stumble('not');
      await port[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true, maxRetries: 5 });
    },
  };
}

/** The command that submits answers nonsense, or not at all. */
export function submitFaultsContract(name: string, start: () => Promise<SubmitSystem>): void {
  describe(`what ${name} answers to a submission`, () => {
    let system: SubmitSystem;
    let alice: TestAccount;
    let bob: TestAccount;
    beforeAll(async () => {
      alice = makeTestAccount('a');
      bob = makeTestAccount('b');
      system = await start();
      for (const account of [alice, bob]) system.openTo(account);
    });
    afterAll(async () => {
      await system[Symbol.asyncDispose]();
      for (const account of [alice, bob]) account[Symbol.dispose]();
    });
    const submitAs = async (
      { dir, port }: Gateway,
      account: Account,
      id: string,
      script: string,
      part: Partial<LrmsTask> = {},
    ): Promise<void> => {
      const directory = join(dir, 'attempts', id);
      for (const own of ['work', 'tmp']) mkdirSync(join(directory, own), { recursive: true });
      for (const folder of [dir, join(dir, 'attempts')]) chmodSync(folder, 0o711);
      await handOver(directory, account);
      port.submit(id, script, { account, ...part });
    };

    test.concurrent('may say nothing of a job that is there: it is found by its name, and runs once', async ({
      expect,
    }) => {
      await using gateway = await openGateway(system, [alice, bob]);
      const { port, stumble, calls, ran, closedReason } = gateway;
      const modes = ['nothing', 'babble', 'cut', 'killed'] as const;
      const codes = new Map<string, number>();
      for (const [at, how] of modes.entries()) {
        stumble(how);
        for (const [id, code] of [
          [`${how}-a`, 6],
          [`${how}-b`, 7],
        ] as const) {
          codes.set(id, code);
          // One that has ended before anybody looks, and others that are listed.
          port.submit(id, how === 'nothing' ? `exit ${code}` : `sleep 1; exit ${code}`);
        }
        await expect.poll(calls, SOON).toHaveLength(at + 1);
      }
      for (const [id, exitCode] of codes)
        expect(await port.endOf(id)).toMatchObject({ kind: 'exited', exitCode });
      expect(calls()).toHaveLength(modes.length);
      await expect.poll(closedReason, SOON).toBe('');
      expect(ran()).toEqual([...codes.keys()].toSorted());
    });

    test.concurrent('may never come, after it has submitted: it is ended, and the job found by its name', async ({
      expect,
    }) => {
      const seconds = 6;
      const limits = { submitTimeoutMs: seconds * 1_000 };
      await using gateway = await openGateway(system, [], limits);
      const { port, stumble, calls, ran, closedReason } = gateway;
      stumble('keep-the-answer');
      port.submit('hung-a', 'sleep 8; exit 6');
      port.submit('hung-b', 'exit 7');
      const hangs = `${system.command} gave no answer in ${seconds} s`;
      const words = new RegExp(`^${system.name} does not answer since .*: ${hangs}$`);
      // It may answer again at once.
      await expect
        .poll(() => port.closedReasons.some((reason) => words.test(reason)), SOON)
        .toBe(true);
      for (const [id, exitCode] of [['hung-a', 6] as const, ['hung-b', 7] as const])
        expect(await port.endOf(id)).toMatchObject({ kind: 'exited', exitCode });
      await expect.poll(closedReason, SOON).toBe('');
      expect([calls().length, ran()]).toEqual([1, ['hung-a', 'hung-b']]);
      await expect.poll(() => processesNaming(gateway.commands.bin), SOON).toEqual([]);
    });

    test.concurrent('may be words that nobody knows: they are told, and the task goes in once it can', async ({
      expect,
    }) => {
      await using gateway = await openGateway(system, [alice, bob]);
      const { port, stumble, ran } = gateway;
      stumble('words');
      port.submit('later', 'exit 5');
      const words = new RegExp(`^${system.name} does not answer since .*: .*nicht angenommen`);
      // It may answer again at once.
      await expect
        .poll(() => port.closedReasons.some((reason) => words.test(reason)), SOON)
        .toBe(true);
      stumble('not');
      expect(await port.endOf('later')).toMatchObject({ kind: 'exited', exitCode: 5 });
      expect(ran()).toEqual(['later']);
    });

    test.concurrent.for([
      ['words', /nicht angenommen/],
      ['lose', /^waits in/],
    ] as const)(
      'may be %s for one account, which harms no other',
      async ([how, words], { expect }) => {
        await using gateway = await openGateway(system, [alice, bob]);
        const { port, commands, calls, ran, closedReason } = gateway;
        commands.stumbleFor(alice.uid, system.command, how);
        await submitAs(gateway, alice, 'hers', 'id -un; exit 3');
        await expect.poll(calls, SOON).not.toEqual([]);
        await submitAs(gateway, bob, 'his', 'id -un; exit 4');
        port.submit('own', 'exit 5');
        expect(await port.endOf('his')).toMatchObject({ kind: 'exited', exitCode: 4 });
        expect(await port.endOf('own')).toMatchObject({ kind: 'exited', exitCode: 5 });
        expect([port.ends.has('hers'), closedReason()]).toEqual([false, '']);
        expect(port.lrms.waitReason(attemptId('hers'))).toMatch(words);
        commands.stumbleFor(alice.uid, system.command, 'not');
        expect(await port.endOf('hers')).toMatchObject({ kind: 'exited', exitCode: 3 });
        expect(ran()).toEqual(['hers', 'his', 'own']);
      },
    );

    // These look at all that is in the queue.
    test("may be the number of another's job, which goes on when the task is cancelled", async ({
      expect,
    }) => {
      await using gateway = await openGateway(system, [alice, bob]);
      const { port, stumble, calls, commands } = gateway;
      const other = await system.stranger();
      writeFileSync(join(commands.bin, `${system.command}.wrong`), `${other}\n`);
      stumble('wrong');
      port.submit('waits', 'sleep 300', { cpus: 1 });
      await port.begun('waits');
      port.lrms.cancel(attemptId('waits'), 30_000);
      expect(await port.endOf('waits')).toMatchObject({ kind: 'exited', exitCode: 143 });
      port.submit('never', 'sleep 300');
      await expect.poll(calls, SOON).toHaveLength(2);
      port.lrms.cancel(attemptId('never'), 0);
      await port.endOf('never');
      await expect.poll(() => system.jobs(), SOON).toEqual([other]);
      await system.remove(other);
      expect(calls()).toHaveLength(2);
    });

    test('may come from a script that its own account harms, and no other task is', async ({
      expect,
    }) => {
      await using gateway = await openGateway(system, [alice, bob]);
      const { port, closedReason } = gateway;
      // Different needs: each is a submission of its own.
      for (const [at, [id, script]] of Object.entries(HARM).entries())
        await submitAs(gateway, alice, id, script, { memoryBytes: 2 ** 26 + at * 2 ** 20 });
      await port.begun('frozen');
      await submitAs(gateway, bob, 'his', 'exit 7');
      expect(await port.endOf('his')).toMatchObject({ kind: 'exited', exitCode: 7 });
      port.lrms.cancel(attemptId('frozen'), 500);
      const ends = await Promise.all(Object.keys(HARM).map((id) => port.endOf(id)));
      expect(JSON.stringify(ends)).not.toMatch(/root:|daemon:/);
      expect(ends).toMatchObject([
        { kind: 'exited', exitCode: expect.toBeOneOf([137, 143]) },
        { kind: 'vanished', detail: expect.stringContaining('status: Permission denied') },
        { kind: 'exited', exitCode: 4 },
        { kind: 'exited', exitCode: 5 },
        { kind: 'exited', exitCode: 6 },
        { kind: 'vanished' },
      ]);
      // Also that of a script that waits for the other end of a pipe.
      await expect.poll(async () => (await system.jobs()).join(), SOON).toBe('');
      expect(closedReason()).toBe('');
    });
  });
}
