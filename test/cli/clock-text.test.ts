import { expect, test } from 'vitest';
import { clockText } from '../../cli/site/sites.ts';

test('a clock that is wrong is told of with its way', () => {
  expect(clockText(3_600_000)).toBe("its clock is 1h 00m ahead of the broker's");
  expect(clockText(-90_000)).toBe("its clock is 1m 30s behind the broker's");
  expect(clockText(0)).toBe('');
});
