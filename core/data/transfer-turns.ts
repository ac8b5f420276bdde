/** How many transfers a site has in flight. */
export interface TransferLimits {
  readonly most: number;
  readonly mostPerVo: number;
}

/** A transfer that waits for its turn, or is in flight. */
export interface TransferWish {
  readonly vo: string;
  /** For whom it is. */
  readonly user: string;
  /** No job waits for it. */
  readonly background: boolean;
}

/** The transfers of a VO at a site, in number. */
export interface VoTransfers {
  readonly vo: string;
  readonly moving: number;
  readonly waiting: number;
  /** Those of both that no job waits for. */
  readonly background: number;
}

/**
 * Whose transfer is next. Jobs that wait for their files go before what nobody waits for; among equals the VO that had its
 * turn longest ago is next, and in it the user that had, each in the order in which they came. Background is never left
 * out: where it waits, one turn in eight is its own; and as it may last long, it has at most a quarter of the places.
 */
export interface TransferTurns<W extends TransferWish> {
  add(wish: W): void;
  /** The one that may begin now, which is in flight from here on; undefined where none may. */
  next(): W | undefined;
  ended(wish: W): void;
  /**
   * One in flight that a server elsewhere keeps waiting takes no place meanwhile; when bytes come it has one more than there
   * are. No more do so at a time than there are places, and of a VO than it may have: so many at most are in flight beside them.
   */
  setSilent(wish: W, isSilent: boolean): void;
  /** Lets go of one that waits; false where it does not wait (any more). */
  remove(wish: W): boolean;
  /** By VO, of those that have any. */
  counts(): readonly VoTransfers[];
}

const BACKGROUND_ONE_IN = 8;
const BACKGROUND_PART = 4;

export function openTransferTurns<W extends TransferWish>(
  limits: TransferLimits,
): TransferTurns<W> {
  const served = openServed();
  const lines = { foreground: openLine<W>(served), background: openLine<W>(served) };
  const moving = new Set<W>();
  const silent = new Set<W>();
  let sinceBackground = 0;
  const mostBackground = Math.max(1, Math.floor(limits.most / BACKGROUND_PART));
  const movingWhere = (holds: (wish: W) => boolean): number =>
    [...moving].filter((wish) => !silent.has(wish) && holds(wish)).length;
  const hasRoom = (vo: string): boolean => movingWhere((wish) => wish.vo === vo) < limits.mostPerVo;
  const mayBeSilent = (wish: W): boolean =>
    moving.has(wish) &&
    silent.size < limits.most &&
    [...silent].filter(({ vo }) => vo === wish.vo).length < limits.mostPerVo;

  const takeBackground = (): W | undefined => {
    if (movingWhere((wish) => wish.background) >= mostBackground) return undefined;
    const wish = lines.background.take(hasRoom);
    if (wish !== undefined) sinceBackground = 0;
    return wish;
  };
  const takeForeground = (): W | undefined => {
    const wish = lines.foreground.take(hasRoom);
    if (wish !== undefined && !lines.background.isEmpty()) sinceBackground += 1;
    return wish;
  };
  const lineOf = (wish: W): Line<W> => (wish.background ? lines.background : lines.foreground);
  const settle = (): void => {
    const isIdle = moving.size === 0 && lines.foreground.isEmpty() && lines.background.isEmpty();
    // Who was served when is of no more use.
    if (isIdle) served.clear();
  };
  return {
    add: (wish) => lineOf(wish).add(wish),
    next: () => {
      if (movingWhere(() => true) >= limits.most) return undefined;
      const wish =
        sinceBackground >= BACKGROUND_ONE_IN - 1
          ? (takeBackground() ?? takeForeground())
          : (takeForeground() ?? takeBackground());
      if (wish !== undefined) moving.add(wish);
      return wish;
    },
    ended: (wish) => {
      moving.delete(wish);
      silent.delete(wish);
      settle();
    },
    setSilent: (wish, isSilent) => {
      if (!isSilent) silent.delete(wish);
      else if (mayBeSilent(wish)) silent.add(wish);
    },
    remove: (wish) => {
      const isOut = lineOf(wish).remove(wish);
      settle();
      return isOut;
    },
    counts: () => countsOf([...moving], [...lines.foreground.all(), ...lines.background.all()]),
  };
}

/** Who had a turn when. */
interface Served {
  /** Of these names the one whose last turn is longest ago. */
  longestAgo(names: readonly string[]): string | undefined;
  now(...names: readonly string[]): void;
  clear(): void;
}

function openServed(): Served {
  const turns = new Map<string, number>();
  let turn = 0;
  return {
    longestAgo: (names) => names.toSorted((a, b) => (turns.get(a) ?? 0) - (turns.get(b) ?? 0))[0],
    now: (...names) => {
      turn += 1;
      for (const name of names) turns.set(name, turn);
    },
    clear: () => turns.clear(),
  };
}

/** Those that wait, by VO and user, each in the order in which they came. */
interface Line<W> {
  add(wish: W): void;
  take(hasRoom: (vo: string) => boolean): W | undefined;
  remove(wish: W): boolean;
  isEmpty(): boolean;
  all(): readonly W[];
}

const userKey = ({ vo, user }: TransferWish): string => `${vo}\0${user}`;

function openLine<W extends TransferWish>(served: Served): Line<W> {
  const waiting = new Map<string, Map<string, W[]>>();
  const tidy = (vo: string, users: Map<string, W[]>, user: string): void => {
    if (users.get(user)?.length === 0) users.delete(user);
    if (users.size === 0) waiting.delete(vo);
  };
  return {
    add: (wish) => {
      const users = waiting.get(wish.vo) ?? new Map<string, W[]>();
      waiting.set(wish.vo, users);
      const queue = users.get(userKey(wish)) ?? [];
      users.set(userKey(wish), queue);
      queue.push(wish);
    },
    take: (hasRoom) => {
      const vo = served.longestAgo([...waiting.keys()].filter(hasRoom));
      const users = waiting.get(vo ?? '');
      const user = served.longestAgo([...(users?.keys() ?? [])]);
      if (vo === undefined || users === undefined || user === undefined) return undefined;
      const wish = users.get(user)?.shift();
      tidy(vo, users, user);
      served.now(vo, user);
      return wish;
    },
    remove: (wish) => {
      const users = waiting.get(wish.vo);
      const queue = users?.get(userKey(wish)) ?? [];
      const at = queue.indexOf(wish);
      if (users === undefined || at === -1) return false;
      queue.splice(at, 1);
      tidy(wish.vo, users, userKey(wish));
      return true;
    },
    isEmpty: () => waiting.size === 0,
    all: () => [...waiting.values()].flatMap((users) => [...users.values()].flat()),
  };
}

function countsOf(
  moving: readonly TransferWish[],
  waiting: readonly TransferWish[],
): readonly VoTransfers[] {
  const all = [...moving, ...waiting];
  return [...new Set(all.map(({ vo }) => vo))].toSorted().map((vo) => ({
    vo,
    moving: moving.filter((wish) => wish.vo === vo).length,
    waiting: waiting.filter((wish) => wish.vo === vo).length,
    background: all.filter((wish) => wish.vo === vo && wish.background).length,
  }));
}
