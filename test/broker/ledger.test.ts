import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LedgerPlace } from '../../broker/open-ledger.ts';
import { ledgerContract } from '../contract/ledger.contract.ts';

ledgerContract('SQLite', () => {
  const dir = mkdtempSync(join(tmpdir(), 'ledger-'));
  let files = 0;
  const fresh = (): LedgerPlace & { readonly kind: 'sqlite' } => {
    files += 1;
    return { kind: 'sqlite', file: join(dir, `${files}.db`) };
  };
  return Promise.resolve({
    fresh: () => Promise.resolve(fresh()),
    crashed: (place) => {
      const copy = fresh();
      const from = place.kind === 'sqlite' ? place.file : '';
      for (const end of ['', '-wal'])
        if (existsSync(from + end)) copyFileSync(from + end, copy.file + end);
      return Promise.resolve(copy);
    },
    cutOff: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(rmSync(dir, { recursive: true })),
  });
});
