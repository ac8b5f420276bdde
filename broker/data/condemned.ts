import type { ChunkName } from '../../service/staging/chunk-cipher.ts';
import type { LedgerDb } from '../ledger/ledger.ts';

const NAME_BYTES = 32;
const ROW_BYTES = NAME_BYTES + 8;
/** 10 MB. Those beyond it wait anew after a start. */
const MOST_KEPT = 250_000;

/** Since when no tree has named a chunk, by the passes of whichever broker had this ledger. */
export async function readCondemned(
  db: LedgerDb,
  vo: string,
): Promise<ReadonlyMap<ChunkName, number>> {
  const row = await db
    .selectFrom('condemned')
    .select('chunks')
    .where('vo', '=', vo)
    .executeTakeFirst();
  return row === undefined ? new Map() : unpack(Buffer.from(row.chunks));
}

/** In the place of what was kept before. */
export async function keepCondemned(
  db: LedgerDb,
  vo: string,
  condemned: ReadonlyMap<ChunkName, number>,
): Promise<void> {
  const chunks = pack(condemned);
  await db
    .insertInto('condemned')
    .values({ vo, chunks })
    .onConflict((conflict) => conflict.column('vo').doUpdateSet({ chunks }))
    .execute();
}

/** One after the other: 32 bytes of the name, and since when, in ms of the wall clock (a double, big end first). */
function pack(condemned: ReadonlyMap<ChunkName, number>): Buffer {
  const packed = Buffer.alloc(Math.min(condemned.size, MOST_KEPT) * ROW_BYTES);
  let at = 0;
  for (const [name, sinceMs] of condemned) {
    if (at === packed.length) break;
    packed.write(name, at, 'hex');
    packed.writeDoubleBE(sinceMs, at + NAME_BYTES);
    at += ROW_BYTES;
  }
  return packed;
}

function unpack(packed: Buffer): ReadonlyMap<ChunkName, number> {
  const condemned = new Map<ChunkName, number>();
  for (let at = 0; at + ROW_BYTES <= packed.length; at += ROW_BYTES) {
    const name = packed.toString('hex', at, at + NAME_BYTES) as ChunkName;
    condemned.set(name, packed.readDoubleBE(at + NAME_BYTES));
  }
  return condemned;
}
