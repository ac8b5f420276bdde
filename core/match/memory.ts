import type { SiteId } from '../ids.ts';
import { type Ask, formatAsk, type Reads, type Rules } from './ask.ts';
import type { Offer } from './offer.ts';
import { queueFor } from './queue.ts';
import { lastingRefusal, type SiteView } from './refusal.ts';

/**
 * What a caller keeps from one round to the next, so that an ask and an offer which have not changed are not compared
 * again. It changes the time that a round takes and nothing else: with a fresh one the result is the same.
 *
 * A site has a slot, and every kind of ask remembers for each slot whether the offer there would do and how the job
 * ranks it. That is what lasts. What is free now is the business of the round, so a site that starts and ends tasks all
 * day is not looked at again, except by asks whose expressions read what is free.
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
  /** By what asks have in common that differ only in whose they are. */
  readonly kinds: Map<string, Column>;
  /** What policies say, by whole asks. */
  readonly callers: Map<string, Column>;
  readonly keys: WeakMap<Ask, Keys>;
}

interface Keys {
  readonly kind: string;
  readonly caller: string;
}

/** How an ask stands with sites. */
export interface Standing {
  /** Whether the offer in a slot would do if it had room. */
  suits(slot: number): boolean;
  /** The job's own rank of it, highest first; 0 without one. */
  rank(slot: number): number;
}

/** What has been worked out about an ask, by slot. */
interface Column {
  readonly ask: Ask;
  /** Whether its expressions read what changes all the time. */
  readonly restless: boolean;
  /** The last round that it is good for. */
  seen: number;
  /** 1 where the offer would do. */
  suits: Uint8Array;
  /** Empty where there is no rank. */
  ranks: Float64Array;
}

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

/** Text that asks share which differ only in whose they are, where nothing but policies looks at that. */
const kindOf = (ask: Ask, rules: Rules): string =>
  JSON.stringify(reads(ask, rules, 'caller') ? ask : { ...ask, owner: '', fqans: [], group: '' });

/** Whether the expressions of an ask look at something. */
const reads = (ask: Ask, rules: Rules, what: keyof Reads): boolean =>
  rules.reads('requirements', ask.requirements)[what] || rules.reads('rank', ask.rank)[what];

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
  const keys = memory.keys.get(ask) ?? { kind: kindOf(ask, rules), caller: formatAsk(ask) };
  memory.keys.set(ask, keys);
  const { guarded } = memory;
  const lenient: Rules = { ...rules, welcomes: () => WELCOME };
  const kind = columnOf(memory.kinds, keys.kind, ask, rules);
  refresh(memory, kind, (offer, slot) => {
    const suits = lastingRefusal(kind.ask, offer, lenient) === undefined;
    kind.suits[slot] = suits ? 1 : 0;
    if (!suits || ask.rank === '') return;
    const queue = queueFor(kind.ask, offer, rules);
    kind.ranks[slot] = rankOf(rules.rank(kind.ask, offer, queue));
  });
  const rank = (slot: number): number => kind.ranks[slot] ?? 0;
  if (guarded.size === 0) return { suits: (slot) => kind.suits[slot] === 1, rank };
  const caller = columnOf(memory.callers, keys.caller, ask, rules);
  refresh(memory, caller, (offer, slot) => {
    caller.suits[slot] = offer.policy === '' || rules.welcomes(offer, ask).holds ? 1 : 0;
  });
  return { suits: (slot) => kind.suits[slot] === 1 && caller.suits[slot] === 1, rank };
}

/** A rank that is no number is the worst. */
const rankOf = (rank: number): number => (Number.isNaN(rank) ? Number.NEGATIVE_INFINITY : rank);

function columnOf(columns: Map<string, Column>, key: string, ask: Ask, rules: Rules): Column {
  const known = columns.get(key);
  if (known !== undefined) return known;
  const column: Column = {
    ask,
    // Which queue a rank looks at goes by what is free in them.
    restless: reads(ask, rules, 'momentary') || rules.reads('rank', ask.rank).queue,
    seen: 0,
    suits: new Uint8Array(0),
    ranks: new Float64Array(0),
  };
  columns.set(key, column);
  return column;
}

/** Works out again what has changed since the column was looked at last. */
function refresh(
  { offers, touched, changed, now }: RoundMemory,
  column: Column,
  work: (offer: Offer, slot: number) => void,
): void {
  if (column.seen === now) return;
  if (column.suits.length < offers.length) {
    column.suits = grown(column.suits, new Uint8Array(2 * offers.length));
    if (column.ask.rank !== '')
      column.ranks = grown(column.ranks, new Float64Array(2 * offers.length));
  }
  const stamps = column.restless ? touched : changed;
  for (let slot = 0; slot < offers.length; slot += 1) {
    if ((stamps[slot] ?? 0) <= column.seen) continue;
    const offer = offers[slot];
    if (offer === undefined) column.suits[slot] = 0;
    else work(offer, slot);
  }
  column.seen = now;
}

function grown<T extends Uint8Array | Float64Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}

/** Forgets what the last round did not ask for, where there is much of it. */
export function tidy({ kinds, callers, now }: RoundMemory, used: number): void {
  for (const columns of [kinds, callers]) {
    if (columns.size <= 2 * used + SPARE_COLUMNS) continue;
    for (const [key, { seen }] of columns) if (seen < now) columns.delete(key);
  }
}
