/**
 * Whether a machine that belongs to somebody is the grid's at the moment. Its owner comes first: while the machine is in
 * use nothing new begins, and what runs is suspended, ended or kept, as the owner wants it.
 */
import { formatDuration } from '../units.ts';
import { type Hours, isWithin, minuteOfWeek } from './hours.ts';

export const WHEN_BACK = ['suspend', 'stop', 'keep'] as const;

/** What the owner wants. */
export interface OwnerPolicy {
  /** Nobody must have used the machine for so long before tasks begin. */
  readonly idleAfterMs: number;
  /** The same for tasks that were suspended; not more than `idleAfterMs`. */
  readonly resumeAfterMs: number;
  /** What becomes of tasks that run. */
  readonly whenBack: (typeof WHEN_BACK)[number];
  /** After so long suspended tasks end. */
  readonly suspendForMs: number;
  /** Share of the machine's cores that programs of others keep busy while it counts as in use. */
  readonly load: number;
  /** When the machine is lent at all, by its own time zone; undefined for always. */
  readonly hours: { readonly text: string; readonly spans: Hours } | undefined;
  /** Whether tasks may run on battery. */
  readonly onBattery: boolean;
}

/** What was seen of the machine at one instant. */
export interface OwnerSigns {
  /** Wall clock. */
  readonly nowMs: number;
  /** How far the machine's clocks are ahead of UTC. */
  readonly zoneMs: number;
  /** When a keyboard, mouse or terminal was last used; undefined where none ever was. */
  readonly usedAtMs: number | undefined;
  /** Since when it has been watched, where something would not tell of what was before; undefined where all does. */
  readonly watchedSinceMs: number | undefined;
  /** Share of the cores that others kept busy since the last look, 0 to 1. */
  readonly load: number;
  readonly onBattery: boolean;
}

/**
 * `open`: tasks may begin. `closed`: those that run go on. `suspended`: those that run stand still. `ended`: those that
 * run end, and begin again elsewhere.
 */
type OwnerPhase = 'open' | 'closed' | 'suspended' | 'ended';

export interface OwnerState {
  readonly phase: OwnerPhase;
  /** Why it is not open, for people; '' while it is. */
  readonly why: string;
  /** Since when it has been in use without a pause of `resumeAfterMs`; undefined while it is not. */
  readonly inUseSinceMs: number | undefined;
  /** What others kept busy, averaged. */
  readonly load: number;
  /** When that was last too much; undefined for never. */
  readonly loadedAtMs: number | undefined;
  readonly atMs: number;
}

/** Before the first look; `inUseSinceMs` is what an earlier run knew. */
export const firstState = (nowMs: number, inUseSinceMs?: number): OwnerState => ({
  phase: 'closed',
  why: '',
  inUseSinceMs,
  load: 0,
  loadedAtMs: undefined,
  atMs: nowMs,
});

/** Load is averaged over this, or over `idleAfterMs` where that is shorter. */
const LOAD_WINDOW_MS = 60_000;

/** The state after a look. */
export function decide(policy: OwnerPolicy, last: OwnerState, signs: OwnerSigns): OwnerState {
  const { nowMs, usedAtMs, zoneMs } = signs;
  const before = notAfter(last, nowMs);
  const load = averaged(policy, before, signs);
  const loadedAtMs = load >= policy.load ? nowMs : before.loadedAtMs;
  const quietSinceMs = latest(usedAtMs, loadedAtMs);
  const common = { load, loadedAtMs, atMs: nowMs };
  const isWithinMs = (sinceMs: number | undefined, ms: number): boolean =>
    sinceMs !== undefined && nowMs - sinceMs < ms;
  const use = isWithinMs(usedAtMs, policy.resumeAfterMs) ? AT_WORK : BUSY;
  const bar = barOf(policy, signs);
  const what = bar ?? (isWithinMs(quietSinceMs, policy.resumeAfterMs) ? use : undefined);
  if (what !== undefined) {
    const inUseSinceMs = before.inUseSinceMs ?? (bar === undefined ? quietSinceMs : nowMs) ?? nowMs;
    const why = `${what.words} since ${clockText(inUseSinceMs, zoneMs)}`;
    const phase = phaseInUse(policy, nowMs - inUseSinceMs, what.isStrict);
    return { ...common, phase, why, inUseSinceMs };
  }
  const restSinceMs = latest(quietSinceMs, signs.watchedSinceMs);
  const isResting = isWithinMs(restSinceMs, policy.idleAfterMs);
  const why = isResting ? restWords(policy, restSinceMs, zoneMs) : '';
  return { ...common, phase: isResting ? 'closed' : 'open', why, inUseSinceMs: undefined };
}

/** Where the clock was set back, what was before counts as of now: it would not be over until that time comes again. */
function notAfter(state: OwnerState, nowMs: number): OwnerState {
  const { inUseSinceMs, loadedAtMs } = state;
  return {
    ...state,
    inUseSinceMs: inUseSinceMs && Math.min(inUseSinceMs, nowMs),
    loadedAtMs: loadedAtMs && Math.min(loadedAtMs, nowMs),
  };
}

const restWords = ({ idleAfterMs }: OwnerPolicy, sinceMs = 0, zoneMs = 0): string =>
  `nobody was seen to use it since ${clockText(sinceMs, zoneMs)}, and its owner lends it after ${formatDuration(idleAfterMs)} of that`;

/** What speaks against the grid; strict is what does not let tasks go on even with `keep`. */
interface Use {
  readonly words: string;
  readonly isStrict: boolean;
}

const AT_WORK: Use = { words: 'its owner is at the machine', isStrict: false };
const BUSY: Use = { words: 'programs of its owner keep it busy', isStrict: false };

/** `lastedMs` since it came into use. */
function phaseInUse(policy: OwnerPolicy, lastedMs: number, isStrict: boolean): OwnerPhase {
  const { whenBack, suspendForMs } = policy;
  if (whenBack === 'keep' && !isStrict) return 'closed';
  return whenBack !== 'stop' && lastedMs < suspendForMs ? 'suspended' : 'ended';
}

/** What speaks against the grid whether or not anybody is there. */
function barOf({ onBattery, hours }: OwnerPolicy, signs: OwnerSigns): Use | undefined {
  if (signs.onBattery && !onBattery) return { words: 'it runs on battery', isStrict: true };
  if (hours === undefined || isWithin(hours.spans, minuteOfWeek(signs.nowMs, signs.zoneMs)))
    return undefined;
  return { words: `its owner lends it ${hours.text} only, and has it`, isStrict: false };
}

function averaged(policy: OwnerPolicy, before: OwnerState, { nowMs, load }: OwnerSigns): number {
  const windowMs = Math.min(LOAD_WINDOW_MS, policy.idleAfterMs);
  const weight = 1 - Math.exp(-Math.max(0, nowMs - before.atMs) / windowMs);
  return before.load + (load - before.load) * weight;
}

const latest = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);

/** `10:02 (UTC+1)`: the clock that hangs beside the machine. */
function clockText(ms: number, zoneMs: number): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const minutes = Math.floor((ms + zoneMs) / 60_000);
  const ofDay = ((minutes % 1_440) + 1_440) % 1_440;
  const ahead = Math.round(zoneMs / 60_000);
  const [hours, rest] = [Math.floor(Math.abs(ahead) / 60), Math.abs(ahead) % 60];
  const offset = `${ahead < 0 ? '-' : '+'}${hours}${rest === 0 ? '' : `:${two(rest)}`}`;
  return `${two(Math.floor(ofDay / 60))}:${two(ofDay % 60)} (UTC${ahead === 0 ? '' : offset})`;
}
