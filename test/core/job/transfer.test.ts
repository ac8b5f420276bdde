import { expect, test } from 'vitest';
import { allowedPath, type DataPath } from '../../../core/data/data-paths.ts';
import { dn, voName } from '../../../core/ids.ts';
import { type Transfer, transferCommand, transferOf } from '../../../core/job/transfer.ts';

test.for<Transfer>([
  { kind: 'write', path: '/data/a b', force: false },
  { kind: 'write', path: '/data', force: true },
  { kind: 'read', path: '/data/x' },
  { kind: 'warm' },
])('%j is the command of a job, and back', (transfer) => {
  expect(transferOf(transferCommand(transfer))).toEqual(transfer);
});

test.for([
  ['sh', '-c', 'true'],
  ['grid:write'],
  ['grid:write', 'data'],
  ['grid:write', '/data/../etc'],
  ['grid:write', '/data//x'],
  ['grid:write', '/data/.'],
  ['grid:write', '/data/\n'],
  ['grid:read', '/data', 'force'],
  ['grid:read', '/data', '', 'more'],
  ['grid:warm', '/data'],
  ['grid:other', '/data'],
])('%j is no transfer', (command) => {
  expect(transferOf(command)).toBeUndefined();
});

const ALICE = { dn: dn('/DC=org/CN=Alice') };
const BOB = { dn: dn('/DC=org/CN=Bob') };
const PATHS: readonly DataPath[] = [
  { path: '/data', vos: [voName('demo')], users: [], access: 'read' },
  { path: '/data/in', vos: [voName('demo')], users: [BOB.dn], access: 'write' },
  { path: '/closed', vos: [], users: [], access: 'write' },
];
const write = (path: string) => ({ kind: 'write', path, force: false }) as const;
const read = (path: string) => ({ kind: 'read', path }) as const;

test.for([
  [read('/data/x'), ALICE, 'demo', '/data'],
  [write('/data/in/x'), ALICE, 'demo', '/data/in'],
  [write('/data/in'), BOB, 'other', '/data/in'],
  [write('/data/x'), ALICE, 'demo', 'the site lets /data be read only'],
  [read('/data/x'), BOB, 'other', "the site opens /data neither to VO 'other' nor to"],
  [read('/database'), ALICE, 'demo', 'the site opens nothing at /database to transfers'],
  [read('/closed/x'), ALICE, 'demo', "the site opens /closed neither to VO 'demo' nor to"],
] as const)('%j by %j of %s: %s', ([transfer, caller, vo, expected]) => {
  const found = allowedPath(PATHS, transfer, caller, voName(vo));
  expect(found.ok ? found.path.path : found.why).toContain(expected);
});
