import { userInfo } from 'node:os';

/** The account of this process. */
export interface OwnAccount {
  readonly uid: number;
  /** Its number where the machine has no name for it, as in containers. */
  readonly username: string;
}

/** Who this process is, by the machine's list of accounts as `named` reads it. */
export function ownAccount(named: () => OwnAccount = userInfo): OwnAccount {
  try {
    const { uid, username } = named();
    return { uid, username };
  } catch {
    const uid = process.geteuid?.() ?? 0;
    return { uid, username: String(uid) };
  }
}

/** Name of the account of this process, or its number. */
export const accountName = (): string => ownAccount().username;
