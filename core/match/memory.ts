import type { SiteId } from '../ids.ts';
import { type Ask, formatAsk, type Rules } from './ask.ts';
import type { Offer } from './offer.ts';
import { queueFor } from './queue.ts';
import { lastingRefusal } from './refusal.ts';
import { type SiteView } from './site-view.ts';

/**
 * What a caller keeps from one round to the next, so that an ask and an offer which have not changed are not compared
 * again. It changes the time that a round takes and nothing else: with a fresh one the result is the same.
 *
 * A site has a slot, and every kind of ask remembers for each slot whether the offer there would do and how the job
 * ranks it, once somebody has wanted to know. That is what lasts. What is free now is the business of the round, so a
 * site that starts and ends tasks all day is not looked at again, except by asks whose expressions read what is free.
 */
export interface RoundMemory {
  /** Counts the rounds. */
  now: number;
  rules?: Rules;
  readonly slots: Map<SiteId, number>;
  /** By slot. */
  readonly offers: (Offer | undefined)[];
  /** By slot: the last round in which something that lasts was new, and in which anything was. */
  readonly changed: number[];
  readonly touched: number[];
  /** Slots of sites that have a policy. */
  readonly guarded: Set<number>;
  /** Slots of the sites where a tree is warm. */
  readonly warm: Map<string, Set<number>>;
  /** Whether offers would do, by what asks have in common that differ only in whose they are and in rank. */
  readonly kinds: Map<string, Column<Uint8Array>>;
  /** What policies say, by whole asks. */
  readonly callers: Map<string, Column<Uint8Array>>;
  /** How jobs rank sites, by `Standing.ranking`. */
  readonly ranks: Map<string, Column<Float64Array>>;
  readonly keys: WeakMap<Ask, Keys>;
}

interface Keys {
  readonly kind: string;
  readonly caller: string;
  readonly ranking: string;
}

/** How an ask stands with sites. */
export interface Standing {
  /** Whether the offer in a slot would do if it had room. */
  suits(slot: number): boolean;
  /** The job's own rank of it, highest first; 0 without one. */
  rank(slot: number): number;
  /** Names what asks have in common that rank all sites alike. */
  readonly ranking: string;
}

/** What has been worked out about an ask, by slot; each only when somebody wants to know. */
interface Column<T extends Uint8Array | Float64Array> {
  /** The last round that it is good for. */
  seen: number;
  values: T;
}

/** How columns are kept. */
interface ColumnKind<T> {
  /** Whether it goes by what changes all the time. */
  readonly restless: boolean;
  readonly blank: (slots: number) => T;
  /** Stands for what nobody has wanted to know yet; `blank` is full of it. */
  readonly unknown: number;
}

const FLAG = { unknown: 0, no: 1, yes: 2 } as const;
const FLAGS: ColumnKind<Uint8Array> = {
  restless: false,
  blank: (slots) => new Uint8Array(slots),
  unknown: FLAG.unknown,
};
const RANKS: ColumnKind<Float64Array> = {
  restless: false,
  blank: (slots) => new Float64Array(slots).fill(Number.NaN),
  unknown: Number.NaN,
};

const WELCOME = { holds: true, reason: '' } as const;
/** Columns beyond those in use that are kept. */
const SPARE_COLUMNS = 1_000;

/** Attributes of offers that change while tasks come and go. */
const isRestless = (name: string): boolean => /^(?:free|expectedWait|warmTrees)/.test(name);

/** Whether two values are equal but for what changes all the time. */
function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const left = a as Readonly<Record<string, unknown>>;
  const right = b as Readonly<Record<string, unknown>>;
  const names = Object.keys(left);
  return (
    names.length === Object.keys(right).length &&
    names.every((name) => isRestless(name) || isSame(left[name], right[name]))
  );
}

/** Texts that asks share which have the same columns. */
function keysOf(ask: Ask, rules: Rules): Keys {
  const ofRank = rules.reads('rank', ask.rank);
  // Whose they are matters to policies alone, where no expression of the job looks at it.
  const isPersonal = rules.reads('requirements', ask.requirements).caller || ofRank.caller;
  const shared = isPersonal ? ask : { ...ask, owner: '', fqans: [], group: '' };
  const looksAtSiteAlone = !(ofRank.job || ofRank.caller || ofRank.queue);
  return {
    kind: JSON.stringify({ ...shared, rank: '' }),
    caller: formatAsk(ask),
    ranking: JSON.stringify(looksAtSiteAlone ? ask.rank : shared),
  };
}

/** Nothing is known yet. */
export const openRoundMemory = (): RoundMemory => ({
  now: 0,
  slots: new Map(),
  offers: [],
  changed: [],
  touched: [],
  guarded: new Set(),
  warm: new Map(),
  kinds: new Map(),
  callers: new Map(),
  ranks: new Map(),
  keys: new WeakMap(),
});

/** Takes note of the sites of a round, and gives the slot of each. */
export function see(
  memory: RoundMemory,
  sites: readonly SiteView[],
  rules: Rules,
): readonly number[] {
  if (memory.rules !== rules || memory.slots.size > 2 * sites.length + SPARE_COLUMNS)
    Object.assign(memory, openRoundMemory(), { rules });
  memory.now += 1;
  return sites.map(({ id, offer }) => {
    const slot = memory.slots.get(id) ?? memory.slots.size;
    memory.slots.set(id, slot);
    note(memory, slot, offer);
    return slot;
  });
}

function note(memory: RoundMemory, slot: number, offer: Offer | undefined): void {
  const { offers, touched, changed, guarded, warm, now } = memory;
  const before = offers[slot];
  if (before === offer && slot < offers.length) return;
  offers[slot] = offer;
  touched[slot] = now;
  if (!isSame(before, offer) || changed[slot] === undefined) changed[slot] = now;
  if (offer === undefined || offer.policy === '') guarded.delete(slot);
  else guarded.add(slot);
  noteTrees(warm, slot, before?.warmTrees ?? [], offer?.warmTrees ?? []);
}

function noteTrees(
  warm: RoundMemory['warm'],
  slot: number,
  before: readonly string[],
  after: readonly string[],
): void {
  if (isSame(before, after)) return;
  for (const tree of before) {
    const there = warm.get(tree);
    there?.delete(slot);
    if (there?.size === 0) warm.delete(tree);
  }
  for (const tree of after) warm.set(tree, (warm.get(tree) ?? new Set()).add(slot));
}

/** How an ask stands with the sites that were seen last. */
export function recall(memory: RoundMemory, ask: Ask, rules: Rules): Standing {
  const keys = memory.keys.get(ask) ?? keysOf(ask, rules);
  memory.keys.set(ask, keys);
  return {
    suits: suitsOf(memory, keys, ask, rules),
    rank: ask.rank === '' ? () => 0 : rankOf(memory, keys, ask, rules),
    ranking: keys.ranking,
  };
}

function suitsOf(memory: RoundMemory, keys: Keys, ask: Ask, rules: Rules): Standing['suits'] {
  const { kinds, callers, guarded } = memory;
  const { momentary } = rules.reads('requirements', ask.requirements);
  const lenient: Rules = { ...rules, welcomes: () => WELCOME };
  const kind = columnOf(memory, kinds, keys.kind, { ...FLAGS, restless: momentary });
  const isFit = flagIn(memory, kind, (offer) => !lastingRefusal(ask, offer, lenient));
  if (guarded.size === 0) return isFit;
  const caller = columnOf(memory, callers, keys.caller, FLAGS);
  const isWelcome = flagIn(memory, caller, (offer) => rules.welcomes(offer, ask).holds);
  return (slot) => isFit(slot) && (!guarded.has(slot) || isWelcome(slot));
}

function flagIn(
  { offers }: RoundMemory,
  { values }: Column<Uint8Array>,
  holds: (offer: Offer) => boolean,
): (slot: number) => boolean {
  return (slot) => {
    if (values[slot] === FLAG.unknown) {
      const offer = offers[slot];
      values[slot] = offer !== undefined && holds(offer) ? FLAG.yes : FLAG.no;
    }
    return values[slot] === FLAG.yes;
  };
}

/** A rank that is no number is the worst. */
function rankOf(memory: RoundMemory, keys: Keys, ask: Ask, rules: Rules): Standing['rank'] {
  const { momentary, queue } = rules.reads('rank', ask.rank);
  // Which queue a rank looks at goes by what is free in them.
  const { values } = columnOf(memory, memory.ranks, keys.ranking, {
    ...RANKS,
    restless: momentary || queue,
  });
  return (slot) => {
    const known = values[slot] ?? Number.NaN;
    if (!Number.isNaN(known)) return known;
    const offer = memory.offers[slot];
    const rank = offer && rules.rank(ask, offer, queueFor(ask, offer, rules));
    const worked = rank === undefined || Number.isNaN(rank) ? Number.NEGATIVE_INFINITY : rank;
    values[slot] = worked;
    return worked;
  };
}

/** The column of that name, without what has changed since it was looked at last. */
function columnOf<T extends Uint8Array | Float64Array>(
  { offers, touched, changed, now }: RoundMemory,
  columns: Map<string, Column<T>>,
  name: string,
  { restless, blank, unknown }: ColumnKind<T>,
): Column<T> {
  const column = columns.get(name) ?? { seen: 0, values: blank(0) };
  columns.set(name, column);
  const { seen } = column;
  if (seen === now) return column;
  if (column.values.length < offers.length) {
    const larger = blank(2 * offers.length);
    larger.set(column.values);
    column.values = larger;
  }
  const stamps = restless ? touched : changed;
  for (let slot = 0; slot < offers.length; slot += 1)
    if ((stamps[slot] ?? 0) > seen) column.values[slot] = unknown;
  column.seen = now;
  return column;
}

/** Forgets what the last round did not ask for, where there is much of it. */
export function tidy({ kinds, callers, ranks, now }: RoundMemory, used: number): void {
  for (const columns of [kinds, callers, ranks]) {
    if (columns.size <= 2 * used + SPARE_COLUMNS) continue;
    for (const [key, { seen }] of columns) if (seen < now) columns.delete(key);
  }
}
