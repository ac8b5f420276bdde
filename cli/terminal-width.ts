/** What Node says of an output; `columns` is absent where it is no terminal, and 0 where that has no size. */
interface Output {
  readonly columns?: number;
}

/** Columns where nothing has a width. */
const USUAL = 100;

/** The width of the first output that has one: in a pipe to a pager the terminal is still there. */
export const columnsOf = (outputs: readonly Output[]): number =>
  outputs.map(({ columns }) => columns).find((columns) => (columns ?? 0) > 0) ?? USUAL;

/** Whether lines can be drawn over: on a terminal without a size nobody knows how many rows a line takes, and ora looks for ever. */
export const mayDrawOver = (isTerminal: boolean, { columns }: Output): boolean =>
  isTerminal && columns !== 0;
