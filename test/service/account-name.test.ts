import { userInfo } from 'node:os';
import { expect, test } from 'vitest';
import { accountName, ownAccount } from '../../service/account-name.ts';

test('an account is called by its name, or by its number where the machine has none for it', () => {
  expect(accountName()).toBe(userInfo().username);
  // As uv_os_get_passwd says it of a uid without an entry.
  const nameless = (): never => {
    throw new Error('A system error occurred: uv_os_get_passwd returned ENOENT');
  };
  const uid = process.geteuid?.() ?? 0;
  expect(ownAccount(nameless)).toEqual({ uid, username: String(uid) });
});
