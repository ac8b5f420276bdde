import { expect, test } from 'vitest';
import type { JobOwner } from '../../../site-gateway/lrms/batch/batch-system.ts';
import { parseAccounting } from '../../../site-gateway/lrms/gridengine/accounting.ts';
import { parseBytes, parseTime } from '../../../site-gateway/lrms/gridengine/units.ts';
import { TOKEN } from './captured.ts';

interface Line {
  readonly name?: string;
  readonly failed?: string;
  readonly wall?: string;
  readonly task?: string;
  readonly request?: string;
  readonly slave?: string;
}

/** `failed` is that field and the exit status. */
const line = ({
  name = `grid-${TOKEN}`,
  failed = '100:137',
  wall = '8',
  task = '0',
  request = '-l h_rt=100',
  slave = 'NONE',
}: Line): string =>
  `main.q:n1:root:root:${name}:19:sge:0:1795893148:1795893148:1795893149:${failed}:${wall}:1.5:0.25:4852.000000:0:0:0:0:243:0:0:0.000000:8:0:0:0:2:6:NONE:defaultdepartment:NONE:1:${task}:2.080000:0.002582:0.000806:${request}:0.000000:${slave}:209809408.000000:0:0`;

const ROOTS = { isOwn: (_: string, { name }: Partial<JobOwner>) => name === 'root' };
const ELEMENTS = [1, 2, 3].map((index) => ({ token: TOKEN, index, job: '' }));
const endsOf = (...lines: readonly string[]) =>
  parseAccounting(`${lines.join('\n')}\n`, ELEMENTS, ROOTS);

test.for([
  ['0:0', 'ended', 'exit 0 on n1'],
  ['0:3', 'ended', 'exit 3 on n1'],
  ['100:137', 'cancelled', 'failed 100 on n1'],
  ['100:139', 'ended', 'failed 100 on n1'],
  ['28:0', 'not-begun', 'failed 28 on n1'],
  ['37:137', 'memory', 'failed 37 on n1'],
] as const)('%s is the end %s', ([failed, kind, words]) => {
  const usage = { cpuMs: 2_080, wallMs: 8_000, peakMemoryBytes: 4_852 * 1_024 };
  expect(endsOf(line({ failed })).get(`${TOKEN}.1`)).toEqual({ kind, words, usage });
});

test.for(['-l h_rt=8', '-q main.q -l h_rt=0:0:8,h_vmem=100M'])(
  'one that was ended after its %s has overstayed its time',
  (request) => {
    expect(endsOf(line({ failed: '37:137', request })).get(`${TOKEN}.1`)?.kind).toBe('walltime');
  },
);

test('of an array each task has its own end', () => {
  const ends = endsOf(line({ task: '2', failed: '0:0' }), line({ task: '3' }));
  expect([...ends].map(([key, { kind }]) => [key, kind])).toEqual([
    [`${TOKEN}.2`, 'ended'],
    [`${TOKEN}.3`, 'cancelled'],
  ]);
});

test('one that was put back stays so, whatever its second start came to', () => {
  const ends = endsOf(line({ failed: '25:143' }), line({ failed: '0:0' }));
  expect(ends.get(`${TOKEN}.1`)?.kind).toBe('requeued');
});

test('a request with an end of a line in it makes up no end of another job', () => {
  const [before, after] = line({ name: 'evil', request: '-l arch=*|x\n:' }).split('\n:');
  const made = line({ failed: '37:137' });
  const evil = `${before}\n${made.replace(/:0\.000000:NONE:.*$/, '')}${after}`;
  const own = line({ failed: '0:0' });
  // Nothing tells it from a true one; what is true comes to be there, and then they are two.
  expect(endsOf(evil).get(`${TOKEN}.1`)?.kind).toBe('memory');
  expect(endsOf(evil, own).size).toBe(0);
  expect(endsOf(own, evil).size).toBe(0);
});

test('a line of a job with another number than the one that ran is passed over', () => {
  const of = (job: string) =>
    parseAccounting(line({}), [{ token: TOKEN, index: 1, job }], ROOTS).size;
  expect([of('19'), of('19.1'), of('20'), of('')]).toEqual([1, 1, 0, 1]);
});

test("others' lines, those of slaves, and one that is cut short are passed over", () => {
  const cut = line({}).slice(0, 120);
  expect(endsOf(line({ name: 'sleep' }), line({ slave: '1.n2' }), '# a remark', cut).size).toBe(0);
});

test.for([
  ['64M', 2 ** 26],
  ['1.5G', 1.5 * 2 ** 30],
  ['1.953G', 2_097_017_782],
  ['5k', 5_000],
  ['4', 4],
  ['0.000', 0],
  ['infinity', Number.POSITIVE_INFINITY],
  ['NONE', undefined],
  ['', undefined],
] as const)("'%s' is %d", ([text, expected]) => {
  expect(parseBytes(text)).toBe(expected);
});

test.for([
  ['01:00:00', 3_600_000],
  ['90', 90_000],
  ['infinity', Number.POSITIVE_INFINITY],
  ['', Number.POSITIVE_INFINITY],
] as const)("a limit of '%s' is %d ms", ([text, expected]) => {
  expect(parseTime(text)).toBe(expected);
});

test('what somebody else calls as the gateway calls a job says nothing of it', () => {
  const other = line({ failed: '37:137' }).replace(':root:root:', ':eve:eve:');
  expect(endsOf(other).size).toBe(0);
  expect(endsOf(line({ failed: '0:0' }), other).get(`${TOKEN}.1`)?.kind).toBe('ended');
});
