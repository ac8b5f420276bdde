import { execFile } from 'node:child_process';
import { freemem } from 'node:os';
import { promisify } from 'node:util';

const MIB = 2 ** 20;
/** What a transfer of a GiB and those who serve it touch, in files and processes. */
const TOUCHED_BYTES = 3_072 * MIB;
const BLOCK_BYTES = 64 * MIB;

/**
 * Has the host of a virtual machine give memory before something is measured. A host may take back what has been free for
 * some seconds, and whoever touches it next waits for it: 1.5 s for a GiB where this was seen, as long as a transfer takes.
 * Which side of a comparison that hits is chance.
 */
export async function touchMemory(): Promise<void> {
  const blocks = Math.floor(Math.min(TOUCHED_BYTES, freemem() / 2) / BLOCK_BYTES);
  const touch = `const kept = []; while (kept.length < ${blocks}) kept.push(Buffer.alloc(${BLOCK_BYTES}, 1));`;
  // In pieces of 2 MiB, which are what a host takes back.
  const env = { ...process.env, GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' };
  await promisify(execFile)(process.execPath, ['-e', touch], { env });
}
