import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TreeRef } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import { treeFromWire, treeToWire } from '../../service/rpc/wire.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { treeChunks } from '../../service/staging/tree-chunks.ts';
import { type BrokerGrid, openBrokerGrid } from '../fakes/broker-grid.ts';
import { type FakeGateway, finishAll } from '../fakes/fake-gateway.ts';
import { startTestNats, type TestNats, testNatsBinary } from '../fakes/nats.ts';

let nats: TestNats;
let grid: BrokerGrid;
let gateway: FakeGateway;
let member: ReturnType<TestNats['open']>;
beforeAll(async () => {
  nats = await startTestNats({ binary: await testNatsBinary(), vos: ['demo'] });
  grid = await openBrokerGrid(undefined, nats.accounts);
  gateway = await grid.site('here');
  member = nats.open('demo');
});
afterAll(async () => {
  await member[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

const send = async (): Promise<TreeRef> =>
  (await sendTree(member, { root: nats.dir, paths: ['made'] })).tree;

/** Outputs that were swept before their task reported them. */
async function sweptOutputs(): Promise<TreeRef> {
  await writeFile(join(nats.dir, 'made'), randomBytes(100_000));
  const tree = await send();
  for (let look = 0; look < 2; look += 1) await grid.datasetsAs('Root').sweepStore({ vo: 'demo' });
  expect((await member.missing(await treeChunks(member, tree))).size).toBe(1);
  return tree;
}

async function ended(tree: TreeRef) {
  gateway.outputs = treeToWire(tree);
  gateway.onPlaced = finishAll(gateway);
  const id = await grid.submit();
  const outcome = async () => (await grid.job(id)).tasks[0]?.outcome;
  await expect.poll(outcome).toBeDefined();
  return outcome();
}

test('outputs that were swept before the report are sent again, and the job is done', async () => {
  const tree = await sweptOutputs();
  const asked: string[] = [];
  gateway.onSendAgain = async (attempt) => {
    asked.push(attempt);
    return treeToWire(await send());
  };
  const outcome = await ended(tree);
  expect(treeFromWire(outcome?.outputs)).toEqual(tree);
  expect(asked).toHaveLength(1);
  expect((await member.missing(await treeChunks(member, tree))).size).toBe(0);
});

test('a gateway that has the files no more makes the attempt a failure that says both', async () => {
  const tree = await sweptOutputs();
  gateway.onSendAgain = () => Promise.reject(new GridError('ATTEMPT_NOT_FOUND', 'all is gone'));
  expect(await ended(tree)).toMatchObject({
    reason: 'OUTPUTS_LOST',
    detail: expect.stringMatching(
      /^the store lacks 1 of 1 chunk of the tree.* not to be had: .*all is gone/,
    ),
  });
});

test('a store that is away when outputs are sent again does not lose them', async () => {
  const tree = await sweptOutputs();
  const asked: string[] = [];
  gateway.onSendAgain = async (attempt) => {
    asked.push(attempt);
    if (asked.indexOf(attempt) === asked.length - 1)
      throw new GridError('STAGING_UNAVAILABLE', 'the store does not answer');
    return treeToWire(await send());
  };
  const outcome = await ended(tree);
  expect(treeFromWire(outcome?.outputs)).toEqual(tree);
  expect(asked.filter((one) => one === asked.at(-1))).toHaveLength(2);
});
