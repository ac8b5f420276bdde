import { expect, test } from 'vitest';
import { type Enrolled, enrolAdvice } from '../../cli/site/enrol-advice.ts';

const SITE: Enrolled = {
  user: 'hanse',
  spool: '/srv/spool',
  hasMap: false,
  hasSystemd: true,
  elsewhere: false,
  clockAheadMs: 0,
};
const adviceOf = (site: Partial<Enrolled>): string => [...enrolAdvice({ ...SITE, ...site })].join();

test('only tasks that do run as root are warned of', () => {
  expect(adviceOf({})).toBe('');
  expect(adviceOf({ user: 'root' })).toContain('runs as root, and so do its tasks');
  expect(adviceOf({ user: 'root', hasMap: true })).toBe('');
});
