import { pino } from 'pino';
import { expect, test } from 'vitest';
import { GridError } from '../../../core/errors.ts';
import { fromStatus, toStatus } from '../../../service/rpc/status.ts';

const LOG = pino({ level: 'silent' });

/** The error as it arrives at the other side. */
const sent = (error: GridError): GridError => {
  const status = toStatus(error, LOG);
  return fromStatus(Object.assign(new Error('failed'), status), 'broker');
};
/** What the trailers of a refused call take on the way. */
const sizeOf = (error: GridError): number => {
  const { details, metadata } = toStatus(error, LOG);
  const [raw = Buffer.alloc(0)] = metadata.get('grid-error-bin');
  return 3 * Buffer.byteLength(details) + (Buffer.byteLength(raw) * 4) / 3;
};

test('an error comes with its code, its words and its problems', () => {
  const problems = [{ where: 'cpus', message: '0 is out of range' }];
  const error = new GridError('SPEC_INVALID', 'the job has 1 problem', { problems });
  expect(sent(error)).toMatchObject({
    code: 'SPEC_INVALID',
    message: 'the job has 1 problem',
    problems,
  });
});

test('what is too long for a trailer is cut, and says so', () => {
  const long = sent(new GridError('VO_DENIED', 'ä'.repeat(100_000)));
  expect(long.code).toBe('VO_DENIED');
  expect(long.message).toMatch(/^ä{100,}\.\.\.$/);
  const problems = Array.from({ length: 10_000 }, (_, n) => ({
    where: `inputs[${n}].from`,
    message: 'is no path '.repeat(100),
  }));
  const many = new GridError('SPEC_INVALID', 'the job has 10000 problems', { problems });
  const cut = sent(many);
  expect(cut.problems[0]?.where).toBe('inputs[0].from');
  expect(cut.problems.at(-1)?.where).toBe('...');
  expect(cut.problems.at(-1)?.message).toMatch(/^and \d+ more$/);
  const worst = new GridError('SPEC_INVALID', '\u{20000}'.repeat(100_000), { problems });
  expect(sizeOf(worst)).toBeLessThan(60_000);
});
