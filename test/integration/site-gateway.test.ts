import { writeFileSync } from 'node:fs';
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { State, Stream } from '../../proto/gen/grid/v1/common.ts';
import { Acceptance, type Advertisement } from '../../proto/gen/grid/v1/site.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { resourcesOf } from '../fakes/offers.ts';
import { EPOCH, startTestSite, type TestSite } from '../fakes/test-site.ts';

let grid: LiveGrid;
let site: TestSite;
beforeAll(async () => {
  grid = await openLiveGrid();
  site = await startTestSite(grid, 'here', [
    'cpus: 4',
    'memory: 2G',
    'vos: [demo]',
    "policy: caller.dn != '/DC=org/DC=test/CN=Mallory'",
    'features: [blackboard]',
    'licences: {seat: 1}',
    'staging-patience: 1s',
  ]);
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
});

const linesOf = async (file: string): Promise<readonly string[]> =>
  (await readFile(file, 'utf8')).trim().split('\n');

/** A task waits for what a test does, however long that takes. */
const until = (file: string): string => `until test -e ${file}; do sleep 0.1; done`;

describe('placing', () => {
  test('a task that starts and ends at once is told of as running and done', async () => {
    const answers = await site.place([{ id: 'ok', spec: { command: ['true'] } }]);
    expect(answers).toMatchObject([
      { attemptId: 'ok', acceptance: Acceptance.ACCEPTANCE_ACCEPTED },
    ]);
    const updates = await site.untilEnded(['ok']);
    const told = updates.map(({ state }) => state);
    // Where its start takes long it is told as submitted before.
    const whole = [State.STATE_SUBMITTED, State.STATE_RUNNING, State.STATE_DONE];
    expect([whole, whole.slice(1)]).toContainEqual(told);
  });

  test('the same attempt twice, in two calls at once, runs once', async () => {
    const file = join(site.dir, 'twice');
    const attempt = { id: 'twice', spec: { command: ['sh', '-c', `echo once >>${file}`] } };
    const both = await Promise.all([site.place([attempt]), site.place([attempt, attempt])]);
    const answers = both.flat().map(({ acceptance }) => acceptance);
    expect(answers.toSorted((a, b) => a - b)).toEqual([
      Acceptance.ACCEPTANCE_ACCEPTED,
      Acceptance.ACCEPTANCE_ALREADY_HAD_IT,
      Acceptance.ACCEPTANCE_ALREADY_HAD_IT,
    ]);
    await site.untilEnded(['twice']);
    expect(await site.place([attempt])).toMatchObject([
      { acceptance: Acceptance.ACCEPTANCE_ALREADY_HAD_IT },
    ]);
    expect(await linesOf(file)).toEqual(['once']);
  });

  const resources = resourcesOf({ memoryBytes: 1, walltimeMs: 1_000 });
  test.for([
    ['TOO_LARGE', { resources: { ...resources, cpus: 5 } }, 'it asks for 5 CPUs, the site has 4'],
    ['TOO_LARGE', { resources: { ...resources, nodes: 2 } }, 'it asks for 2 nodes'],
    ['TOO_LARGE', { resources: { ...resources, gpus: 1 } }, 'it asks for 1 GPUs'],
    ['TOO_LARGE', { resources: { ...resources, memoryBytes: 4 * 2 ** 30 } }, '4 GiB of memory'],
    ['VO_DENIED', { vo: 'other' as never }, "VO 'other'"],
    ['SPEC_INVALID', { command: [] }, 'the command is empty'],
    ['SPEC_INVALID', { env: { 'A B': '' } }, "'A B' cannot be the name of a variable"],
    ['SPEC_INVALID', { outputs: ['../x'] }, "'../x' leaves the task's directory"],
    ['SPEC_INVALID', { vo: '../../etc' as never }, "'../../etc' is no name of a VO"],
  ] as const)('refuses with %s and both values: %o', async ([reason, part, words]) => {
    const spec = { command: ['true'], ...part };
    const [answer] = await site.place([{ id: `refused-${words.length}`, spec }]);
    expect(answer).toMatchObject({ acceptance: Acceptance.ACCEPTANCE_REFUSED, reason });
    expect(answer?.detail).toContain(words);
  });

  test("a caller whom the site's policy does not welcome is refused", async () => {
    const owner = '/DC=org/DC=test/CN=Mallory';
    const [answer] = await site.place([{ id: 'mallory', spec: { command: ['true'] }, owner }]);
    expect(answer).toMatchObject({
      acceptance: Acceptance.ACCEPTANCE_REFUSED,
      reason: 'POLICY_DENIED',
    });
    expect(answer?.detail).toContain(owner);
  });

  test('one attempt may be refused and the others of the batch accepted', async () => {
    const answers = await site.place([
      { id: 'batch-a', spec: { command: ['true'] } },
      { id: 'batch-b', spec: { command: [] } },
      { id: 'batch-c', spec: { command: ['true'] } },
    ]);
    expect(answers.map(({ acceptance }) => acceptance)).toEqual([
      Acceptance.ACCEPTANCE_ACCEPTED,
      Acceptance.ACCEPTANCE_REFUSED,
      Acceptance.ACCEPTANCE_ACCEPTED,
    ]);
    await site.untilEnded(['batch-a', 'batch-c']);
  });
});

describe('who may call', () => {
  test('anybody but the broker is refused by DN', async () => {
    using stranger = site.connectAs([grid.user('Stranger')]);
    const call = stranger.call.control({ epoch: EPOCH, cancel: [], acknowledgedSeq: 0 });
    await expect(call).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: "'/DC=org/DC=test/CN=Stranger' is not the broker of this site",
    });
  });

  test('a broker that was replaced is refused, in a running stream too', async () => {
    const stream = site.call().advertise({ epoch: EPOCH, leaseMs: 600 });
    const streamEnds = (async () => {
      for await (const _ of stream) void _;
    })();
    streamEnds.catch(() => undefined);
    await site.call().control({ epoch: EPOCH, cancel: [], acknowledgedSeq: 0 });
    await site.kill();
    await site.start();
    const old = site.place([{ id: 'old', spec: { command: ['true'] } }], EPOCH - 1);
    await expect(old).rejects.toMatchObject({
      code: 'STALE_EPOCH',
      message: `epoch ${EPOCH - 1} is over: this site has seen ${EPOCH}`,
    });
    await expect(streamEnds).rejects.toMatchObject({ name: 'GridError' });
  });
});

describe('the offer', () => {
  test('comes first, then beacons, then a new one when room is taken', async () => {
    const seen: Advertisement[] = [];
    const beacons: Advertisement[] = [];
    const stop = new AbortController();
    const stream = site.call().advertise({ epoch: EPOCH, leaseMs: 600 }, { signal: stop.signal });
    for await (const advertisement of stream) {
      seen.push(advertisement);
      // Where the disk has more or less free by now, an offer comes before the first of them.
      if (advertisement.offer === undefined && beacons.push(advertisement) === 1)
        await site.place([{ id: 'room', spec: { command: ['sleep', '60'] } }]);
      if ((seen.at(-1)?.offer?.freeCpus ?? 4) < 4) break;
    }
    stop.abort();
    expect(seen[0]?.offer).toMatchObject({
      site: 'here',
      lrms: 'fork',
      os: 'linux',
      totalCpus: 4,
      freeCpus: 4,
      totalMemoryBytes: 2 * 2 ** 30,
      vos: ['demo'],
      closedReason: '',
    });
    expect(seen[0]?.offer?.features).toContain('blackboard');
    expect(seen[0]?.offer?.nkey).toMatch(/^U[A-Z0-9]{55}$/);
    expect(Math.abs((seen[0]?.nowMs ?? 0) - Date.now())).toBeLessThan(60_000);
    expect(beacons[0]?.beaconMs).toBeGreaterThan(seen[0]?.beaconMs ?? Number.POSITIVE_INFINITY);
    expect(beacons[0]?.instance).toBe(seen[0]?.instance);
    expect(seen.at(-1)?.offer).toMatchObject({ freeCpus: 3 });
    await site.call().control({ epoch: EPOCH, cancel: ['room'], acknowledgedSeq: 0 });
    await site.untilEnded(['room']);
  });
});

describe('what the broker may ask later', () => {
  test('a gateway that nothing is wrong with has nothing to say to its administrator', async () => {
    const troubles = { storeTrouble: '', certificateTrouble: '', imagesTrouble: '' };
    expect(await site.call().inspect({ epoch: EPOCH })).toMatchObject(troubles);
  });

  test('cancels a running task, a waiting one, and says which it does not know', async () => {
    const sleepers = ['c1', 'c2', 'c3', 'c4', 'c5'].map((id) => ({
      id,
      spec: { command: ['sleep', '60'] },
    }));
    await site.place(sleepers);
    const cancel = ['c5', 'c1', 'c2', 'c3', 'c4', 'nobody'];
    const { unknown } = await site.call().control({ epoch: EPOCH, cancel, acknowledgedSeq: 0 });
    expect(unknown).toEqual(['nobody']);
    const ids = sleepers.map(({ id }) => id);
    const updates = await site.untilEnded(ids);
    const ends = updates.filter(({ outcome, attemptId }) => outcome && ids.includes(attemptId));
    expect(ends.map(({ state, outcome }) => [state, outcome?.reason])).toEqual(
      ids.map(() => [State.STATE_CANCELLED, 'CANCELLED']),
    );
  });

  test('a task that ignores TERM is cancelled all the same', async () => {
    const command = ['sh', '-c', "trap '' TERM; while :; do sleep 0.1; done"];
    await site.place([{ id: 'stubborn', spec: { command } }]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await site.call().control({ epoch: EPOCH, cancel: ['stubborn'], acknowledgedSeq: 0 });
    expect(await site.outcomeOf('stubborn')).toMatchObject({ state: State.STATE_CANCELLED });
  });

  test('reconciling ends what the broker does not list and names what is not here', async () => {
    await site.place([
      { id: 'listed', spec: { command: ['sleep', '1'] } },
      { id: 'unlisted', spec: { command: ['sleep', '60'] } },
    ]);
    const attemptIds = ['listed', 'never-had'];
    const answer = await site.call().reconcile({ epoch: EPOCH, attemptIds, session: 0 });
    expect(answer).toEqual({ unknown: ['never-had'], ending: ['unlisted'] });
    expect(await site.outcomeOf('unlisted')).toMatchObject({ state: State.STATE_CANCELLED });
    expect(await site.outcomeOf('listed')).toMatchObject({ state: State.STATE_DONE });
  });

  test('follows a stream while it grows, from an offset', async () => {
    const gate = join(site.dir, 'talker-goes-on');
    const script = `echo line 1; ${until(gate)}; echo line 2; echo line 3`;
    await site.place([{ id: 'talker', spec: { command: ['sh', '-c', script] } }]);
    const request = { epoch: EPOCH, attemptId: 'talker', stream: Stream.STREAM_STDOUT, offset: 2 };
    const chunks: string[] = [];
    for await (const { data } of site.call().tail({ ...request, file: '', follow: true })) {
      chunks.push(Buffer.from(data).toString());
      writeFileSync(gate, '');
    }
    expect(chunks.join('')).toBe('ne 1\nline 2\nline 3\n');
    expect(chunks.length).toBeGreaterThan(1);
  });

  test('follows a file that the task has yet to make, and gives no other', async () => {
    const secret = join(site.spool, 'secret');
    await writeFile(secret, 'not for you');
    const gate = join(site.dir, 'trainer-goes-on');
    const script = `ln -s ${secret} out; ln -s / root; mkfifo pipe; mkdir made; sleep 0.5
      echo epoch 1 >>made/train.log; ${until(gate)}; echo epoch 2 >>made/train.log; ln -s made/train.log link`;
    await site.place([{ id: 'trainer', spec: { command: ['sh', '-c', script] } }]);
    const request = { epoch: EPOCH, attemptId: 'trainer', stream: Stream.STREAM_STDOUT, offset: 0 };
    const read = async (file: string, follow: boolean): Promise<string[]> => {
      const chunks: string[] = [];
      for await (const { data } of site.call().tail({ ...request, file, follow })) {
        chunks.push(Buffer.from(data).toString());
        writeFileSync(gate, '');
      }
      return chunks;
    };
    const chunks = await read('made/train.log', true);
    expect(chunks.join('')).toBe('epoch 1\nepoch 2\n');
    expect(chunks.length).toBeGreaterThan(1);
    expect(await read('link', false)).toEqual([chunks.join('')]);
    for (const file of ['out', 'root/etc/passwd', 'pipe', 'made', '../stdout', '/etc/passwd'])
      await expect(read(file, false)).rejects.toMatchObject({ code: 'PATH_REFUSED' });
  });

  test('a file that is not there is not found while the task runs', async () => {
    const gate = join(site.dir, 'idle-goes-on');
    await site.place([{ id: 'idle', spec: { command: ['sh', '-c', until(gate)] } }]);
    const request = { epoch: EPOCH, attemptId: 'idle', stream: Stream.STREAM_STDOUT, offset: 0 };
    const read = async (): Promise<void> => {
      for await (const _ of site.call().tail({ ...request, file: 'none', follow: false })) void _;
    };
    await expect(read()).rejects.toMatchObject({ code: 'TASK_FILE_NOT_FOUND' });
    writeFileSync(gate, '');
  });

  test('a stream of an attempt that nobody knows is not found', async () => {
    const request = { epoch: EPOCH, attemptId: 'nobody', stream: Stream.STREAM_STDERR, file: '' };
    const read = async (): Promise<void> => {
      for await (const _ of site.call().tail({ ...request, offset: 0, follow: false })) void _;
    };
    await expect(read()).rejects.toMatchObject({ code: 'ATTEMPT_NOT_FOUND' });
  });

  test('what was acknowledged is not told again, and numbers go on', async () => {
    const before = await site.untilEnded(['ok', 'talker', 'trainer', 'idle']);
    const afterSeq = before.at(-1)?.seq ?? 0;
    await site.place([{ id: 'later', spec: { command: ['true'] } }]);
    const after = await site.untilEnded(['later'], afterSeq);
    expect(new Set(after.map(({ attemptId }) => attemptId))).toEqual(new Set(['later']));
    expect(after[0]?.seq).toBeGreaterThan(afterSeq);
  });
});

describe('a spool that cannot be written', () => {
  test('fails the attempt with a reason, closes the offer, and opens it again', async () => {
    const attempts = join(site.spool, 'attempts');
    const resources = { ...resourcesOf({ walltimeMs: 60_000 }), licences: { seat: 1 } };
    // The site would close by itself soon after: the attempt is accepted before, and waits until it is broken.
    await site.place([{ id: 'seated', spec: { command: ['sleep', '60'], resources } }]);
    await site.place([{ id: 'nowhere', spec: { command: ['true'], resources } }]);
    await rename(attempts, `${attempts}.away`);
    writeFileSync(attempts, 'a file where a directory should be');
    await site.call().control({ epoch: EPOCH, cancel: ['seated'], acknowledgedSeq: 0 });
    expect(await site.outcomeOf('nowhere')).toMatchObject({
      state: State.STATE_FAILED,
      failure: 'site',
      reason: 'SPOOL_UNWRITABLE',
    });
    const [refused] = await site.place([{ id: 'nowhere2', spec: { command: ['true'] } }]);
    expect(refused).toMatchObject({ reason: 'SITE_CLOSED' });
    expect(refused?.detail).toContain('the spool cannot be written');
    await rm(attempts);
    await rename(`${attempts}.away`, attempts);
    await expect
      .poll(async () => (await site.place([{ id: 'back', spec: { command: ['true'] } }]))[0], {
        interval: 500,
      })
      .toMatchObject({ reason: '' });
    expect((await stat(attempts)).isDirectory()).toBe(true);
  });
});
