/** Values in one `in (...)`: SQLite takes 32,766 parameters in a statement, PostgreSQL 65,535. */
const MAX_VALUES = 10_000;

/** Asks for many values in as many questions as that takes. */
export async function inChunks<V, Row>(
  values: readonly V[],
  ask: (chunk: V[]) => Promise<readonly Row[]>,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (let start = 0; start < values.length; start += MAX_VALUES)
    for (const row of await ask(values.slice(start, start + MAX_VALUES))) rows.push(row);
  return rows;
}
