/** An attempt as each side has it; '' where a side has it not. */
export interface SiteAttemptView {
  readonly attempt: string;
  readonly job: string;
  /** State in the broker's ledger. */
  readonly grid: string;
  /** State in the gateway's journal. */
  readonly gateway: string;
  readonly batchId: string;
  /** `waits`, `runs`, `suspended`, `stuck` or `unlisted`. */
  readonly batch: string;
  /** Why it waits, in the batch system's own words. */
  readonly reason: string;
}

type Check = readonly [differs: (view: SiteAttemptView) => boolean, words: string];

/** In this order; the first that differs is told. */
const CHECKS: readonly Check[] = [
  [({ attempt }) => attempt === '', 'a batch job of the gateway that belongs to no attempt'],
  [({ gateway }) => gateway === '', 'the gateway does not know it (any more)'],
  [({ grid }) => grid === '', 'the grid has let it go, and the gateway ends it'],
  [
    ({ gateway, grid }) => gateway === 'running' && grid !== 'running',
    'it runs, and the grid does not know that yet',
  ],
  [
    ({ gateway, batch }) => gateway === 'running' && batch === 'waits',
    'it has begun, and its batch job waits',
  ],
  [
    ({ gateway, batch }) => gateway === 'running' && batch === 'unlisted',
    'it runs, and the batch system does not list it',
  ],
  [
    ({ gateway, batch }) => gateway === 'submitted' && batch === 'runs',
    'its batch job runs, and it has not begun',
  ],
  [({ batch }) => batch === 'stuck', 'the batch system cannot start it and leaves it at that'],
];

/** How the sides differ, in one sentence; '' where they agree. `asked` is false where the gateway could not be asked. */
export function differenceOf(view: SiteAttemptView, asked: boolean): string {
  if (!asked) return '';
  return CHECKS.find(([differs]) => differs(view))?.[1] ?? '';
}
