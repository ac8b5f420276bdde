import { expect, test } from 'vitest';
import { warningOfCluster } from '../../../broker/data/cluster-versions.ts';

test.each([
  [['2.15.2', '2.15.2', '2.12.10'], '2.12.10'],
  [['2.9.10', '2.15.2', '2.12.10'], '2.9.10'],
  [['2.12.10', '2.12.6'], '2.12.6'],
])('of servers %o the oldest is warned of', (versions, oldest) => {
  expect(warningOfCluster(versions)).toMatch(`nats-server ${oldest} in a cluster`);
});

test('nothing is said of servers that all will do', () => {
  expect(warningOfCluster(['2.15.2', '2.14.0', '3.0.0'])).toBe('');
});
