import { expect, test } from 'vitest';
import { parsePasswd, unfit } from '../../site-gateway/accounts/account.ts';

test('a line of passwd is an account, and what is none is not', () => {
  const line = 'alice:x:1001:1002:Alice,,,:/home/alice:/bin/bash\n';
  expect(parsePasswd(line)).toEqual({ name: 'alice', uid: 1001, gid: 1002 });
  for (const text of ['', '+::::::', 'alice:x:-1:1002:', 'alice:x:1001'])
    expect(parsePasswd(text)).toBeUndefined();
});

test('root is never fit, an account of the system only if it is meant', () => {
  expect(unfit({ name: 'toor', uid: 0, gid: 0 }, true)).toContain("'toor' is root");
  expect(unfit({ name: 'www', uid: 33, gid: 33 }, false)).toContain('uid 33');
  expect(unfit({ name: 'www', uid: 33, gid: 33 }, true)).toBeUndefined();
  expect(unfit({ name: 'alice', uid: 1000, gid: 1000 }, false)).toBeUndefined();
});
