import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { rounded } from '../statistics.ts';
import type { Transferred } from './transfer-process.ts';
import { assertSame, type World } from './world.ts';

/** What the two processes computed, their start included: it hardly depends on how busy the machine is. */
export const cpuSeconds = (
  sent: Transferred,
  fetched: Transferred,
): Readonly<Record<string, number>> => ({
  'sender CPU s': rounded(sent.cpuMs / 1_000),
  'fetcher CPU s': rounded(fetched.cpuMs / 1_000),
});

/** Seconds of a peer's copy, which must arrive whole. */
export async function timedCopy(
  world: World,
  root: string,
  copy: (world: World, root: string, target: string) => Promise<number>,
): Promise<number> {
  const target = join(world.dir, `copy-${copy.name}`);
  const seconds = await copy(world, root, target);
  await assertSame(copy.name, root, target);
  await rm(target, { recursive: true });
  return seconds;
}
