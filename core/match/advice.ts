import type { SiteId } from '../ids.ts';
import { counted } from '../units.ts';
import type { Ask, Rules } from './ask.ts';
import type { Room } from './room.ts';
import { type Setting, settingsOf } from './settings.ts';
import type { SiteView } from './site-view.ts';
import { type Hearing, openHearing, type Standards, type Verdict } from './verdicts.ts';

/** What to ask for instead, found by putting the changed ask to the sites. */
export interface Advice {
  /** One change, or two that only help together: `with \`cpus: 4\``. */
  readonly changes: readonly string[];
  /** The ask with the changes. */
  readonly ask: Ask;
  /** Sites that would take it: at once if `startsNow`, else some day. */
  readonly sites: readonly SiteId[];
  readonly startsNow: boolean;
}

/** How many pieces of advice are worth reading. */
const MAX_ADVICE = 5;
/** How often a site is asked at most: some tenths of a second. */
const MAX_TRIALS = 200_000;

/**
 * The smallest changes with which an ask that no site can ever take would find one, or with which one that waits for
 * room would start at once; nothing where it can start as it is. Single changes first, pairs of them where none helps.
 * Each change is as small as it can be, given that a site that takes more of something takes less of it too; where an
 * expression says otherwise, a change may be missed, but none is given that does not help.
 */
export function adviceFor(
  ask: Ask,
  views: readonly SiteView[],
  rules: Rules,
  standards?: Standards,
): readonly Advice[] {
  const hearing = openHearing(views, rules, standards);
  const takers = (wanted: Ask, sense: Sense): readonly Room[] =>
    takersAmong(hearing.rooms, wanted, hearing, sense);
  if (takers(ask, couldBePlaced).length > 0) return [];
  const startsNow = takers(ask, someDay).length > 0;
  const sense = startsNow ? atOnce : someDay;
  const settings = settingsOf(ask, rules).filter(({ levels }) => levels > 0);
  const search: Search = { ask, hearing, sense, trialsLeft: MAX_TRIALS };
  const singles = choicesAmong(
    search,
    settings.map((setting) => [setting]),
  );
  const choices = singles.length > 0 ? singles : choicesAmong(search, pairsOf(settings));
  return choices
    .map(({ changes, ask: changed }) => {
      const sites = takers(changed, sense).map(({ view }) => view.id);
      return { changes, ask: changed, sites, startsNow };
    })
    .toSorted((a, b) => b.sites.length - a.sites.length)
    .slice(0, MAX_ADVICE);
}

/** What is to be found: whether a site takes an ask, in one sense or another. */
type Sense = (verdict: Verdict, room: Room) => boolean;

const couldBePlaced: Sense = ({ refusal }) => refusal === undefined;
const atOnce: Sense = ({ startsNow }) => startsNow;
const someDay: Sense = ({ refusal }, { view }) =>
  view.offer !== undefined && refusal?.lasting !== true;

function takersAmong(
  rooms: readonly Room[],
  ask: Ask,
  { judge }: Hearing,
  sense: Sense,
): readonly Room[] {
  const verdict = judge(ask);
  return rooms.filter((room) => sense(verdict(room), room));
}

const pairsOf = (settings: readonly Setting[]): readonly (readonly Setting[])[] =>
  settings.flatMap((first, index) => settings.slice(index + 1).map((second) => [first, second]));

interface Search {
  readonly ask: Ask;
  readonly hearing: Hearing;
  readonly sense: Sense;
  trialsLeft: number;
}

/** Settings that help when they are lowered together, and how far. */
interface Choice {
  readonly settings: readonly Setting[];
  readonly changes: readonly string[];
  readonly ask: Ask;
}

function choicesAmong(search: Search, all: readonly (readonly Setting[])[]): readonly Choice[] {
  const choices: Choice[] = [];
  for (const settings of all) {
    const isTooMuch = choices.some((choice) =>
      settings.every((setting) =>
        [setting, ...(setting.less ?? [])].some((less) => choice.settings.includes(less)),
      ),
    );
    const choice = isTooMuch ? undefined : choiceOf(search, settings);
    if (choice !== undefined) choices.push(choice);
  }
  return choices;
}

/** Lowers the settings as far as they go; if that helps, each rises again as far as some site permits. */
function choiceOf(search: Search, settings: readonly Setting[]): Choice | undefined {
  const levels = settings.map(() => 0);
  const lowered = (): Ask =>
    settings.reduce((ask, setting, index) => setting.lower(ask, levels[index] ?? 0), search.ask);
  const willing = (among: readonly Room[]): readonly Room[] => {
    search.trialsLeft -= among.length;
    return takersAmong(among, lowered(), search.hearing, search.sense);
  };
  const takers = search.trialsLeft > 0 ? willing(search.hearing.rooms) : [];
  if (takers.length === 0) return undefined;
  for (const [index, setting] of settings.entries()) {
    levels[index] = highest(setting.levels, (level) => {
      levels[index] = level;
      return willing(takers).length > 0;
    });
  }
  const changes = settings.map((setting, index) => setting.words(levels[index] ?? 0));
  return { settings, changes, ask: lowered() };
}

/** The highest of `count` levels that will do, by halving; the lowest does. */
function highest(count: number, does: (level: number) => boolean): number {
  let [good, bad] = [0, count];
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (does(middle)) good = middle;
    else bad = middle;
  }
  return good;
}

/** Advice in one line. */
export function formatAdvice({ changes, sites, startsNow }: Advice): string {
  const count = counted(sites.length, 'site');
  const where = startsNow ? `it could start now at ${count}` : `${count} could run it`;
  return `${changes.join(' and ')}, ${where}: ${namesOf(sites)}`;
}

const MAX_NAMES = 3;

function namesOf(sites: readonly SiteId[]): string {
  const named = sites.slice(0, MAX_NAMES).join(', ');
  return sites.length > MAX_NAMES ? `${named}, ...` : named;
}
