import { chownSync } from 'node:fs';
import { join } from 'node:path';

const NOBODY_UID = 65_534;

/** What follows is done with the rights of nobody, whose `dir` then is, until it is disposed of. */
export function asNobody(dir: string): AsyncDisposable {
  const { seteuid } = process;
  if (process.getuid?.() !== 0 || seteuid === undefined)
    return { [Symbol.asyncDispose]: () => Promise.resolve() };
  for (const place of [dir, join(dir, 'root')]) chownSync(place, NOBODY_UID, NOBODY_UID);
  seteuid(NOBODY_UID);
  return {
    [Symbol.asyncDispose]: async () => {
      seteuid(0);
    },
  };
}
