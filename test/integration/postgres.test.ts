import { inspect } from 'node:util';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Ledger, type LedgerPlace, openLedger } from '../../broker/ledger/open-ledger.ts';
import type { PostgresPlace } from '../../service/database/postgres.ts';
import { asksContract } from '../contract/asks.contract.ts';
import { brokerContract } from '../contract/broker.contract.ts';
import { datasetReleaseContract } from '../contract/dataset-release.contract.ts';
import { historyContract } from '../contract/history.contract.ts';
import { ledgerContract } from '../contract/ledger.contract.ts';
import { removedResultsContract } from '../contract/removed-results.contract.ts';
import { storeRoomContract } from '../contract/store-room.contract.ts';
import { openBrokerGrid } from '../fakes/broker-grid.ts';
import { type Postgres, startPostgres } from '../fakes/postgres.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres[Symbol.asyncDispose]());

const fresh = async (): Promise<LedgerPlace> => ({
  kind: 'postgres',
  ...(await postgres.database()),
});

const placeOf = (place: LedgerPlace): PostgresPlace =>
  place.kind === 'postgres' ? place : { url: '' };

/** Ends the session that holds the leader's lock. */
const END_LEADER = `select pg_terminate_backend(pid) from pg_locks join pg_database on pg_database.oid = database
  where locktype = 'advisory' and datname = current_database()`;

ledgerContract('PostgreSQL', () =>
  Promise.resolve({
    fresh,
    crashed: async (place) => {
      await postgres.crash();
      return place;
    },
    cutOff: (place) => postgres.run(placeOf(place), END_LEADER),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }),
);

historyContract('PostgreSQL', fresh);
asksContract('PostgreSQL', fresh);

datasetReleaseContract('PostgreSQL', fresh);

removedResultsContract('PostgreSQL', fresh);

storeRoomContract('PostgreSQL', fresh);

brokerContract('PostgreSQL', async () => openBrokerGrid(await fresh()));

const log = pino({ level: 'silent' });
const nothing = (): void => undefined;

test('a second broker waits until the one that leads has gone', async () => {
  const place = await fresh();
  const first = await openLedger(place, { log, onLost: nothing });
  let second: Ledger | undefined;
  const waiting = openLedger(place, { log, onLost: nothing }).then((ledger) => {
    second = ledger;
  });
  const stop = new AbortController();
  const stopped = openLedger(place, { log, onLost: nothing, signal: stop.signal });
  const reason = new Error('told to stop');
  setTimeout(() => stop.abort(reason), 100);
  await expect(stopped).rejects.toBe(reason);
  expect(second).toBeUndefined();
  await first[Symbol.asyncDispose]();
  await waiting;
  expect(second?.epoch).toBe(2);
  await second?.[Symbol.asyncDispose]();
});

test('a broker whose session was ended learns that another one may lead', async () => {
  const place = await fresh();
  const lost = Promise.withResolvers<unknown>();
  await using ledger = await openLedger(place, { log, onLost: lost.resolve });
  await postgres.run(placeOf(place), END_LEADER);
  expect(await lost.promise).toMatchObject({ code: 'STALE_EPOCH' });
  expect(ledger.epoch).toBe(1);
});

test('a ledger that cannot be opened says where and why, and keeps the password to itself', async () => {
  const place = placeOf(await fresh());
  const wrong = { kind: 'postgres' as const, url: place.url, password: 'guessed' };
  const refusal = await openLedger(wrong, { log, onLost: nothing }).catch((error: Error) => error);
  expect(refusal).toMatchObject({
    code: 'LEDGER_UNAVAILABLE',
    message: `cannot open the ledger ${place.url}: password authentication failed for user "hanse"`,
  });
  expect(inspect(refusal, { depth: 10 })).not.toContain('guessed');
});
