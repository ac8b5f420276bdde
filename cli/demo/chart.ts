/** One point of a curve. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** How large a chart is, in characters of its plotting area, and how its axes read. */
export interface ChartOptions {
  readonly columns: number;
  readonly rows: number;
  readonly formatX: (value: number) => string;
  readonly formatY: (value: number) => string;
}

const EIGHTHS = ['', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/**
 * Draws a curve as filled columns of block characters, the lowest value at the bottom line; each column shows the
 * mean of its points. Needs at least one point.
 */
export function drawChart(points: readonly Point[], options: ChartOptions): readonly string[] {
  const { columns, rows, formatX, formatY } = options;
  const heights = columnMeans(points, columns);
  const low = Math.min(...heights);
  const high = Math.max(...heights);
  const span = high - low || 1;
  const eighths = heights.map((height) => 1 + Math.round(((height - low) / span) * (rows * 8 - 1)));
  const labels = [formatY(high), formatY((high + low) / 2), formatY(low)];
  const gutter = Math.max(...labels.map((label) => label.length));
  const labelAt = new Map([
    [0, labels[0]],
    [Math.floor(rows / 2), labels[1]],
    [rows - 1, labels[2]],
  ]);
  const lines = Array.from({ length: rows }, (_, row) => {
    const floor = (rows - 1 - row) * 8;
    const cells = eighths.map((value) => EIGHTHS[Math.max(0, Math.min(8, value - floor))] || ' ');
    return `${(labelAt.get(row) ?? '').padStart(gutter)} ┤${cells.join('')}`;
  });
  const first = formatX(points[0]?.x ?? 0);
  const last = formatX(points.at(-1)?.x ?? 0);
  const axis = `${' '.repeat(gutter)} └${'─'.repeat(columns)}`;
  const ends = `${' '.repeat(gutter + 2)}${first}${last.padStart(columns - first.length)}`;
  return [...lines, axis, ends];
}

/** Means of equal shares of the points, one per column; a column without points repeats its left neighbour. */
function columnMeans(points: readonly Point[], columns: number): readonly number[] {
  const means: number[] = [];
  for (let column = 0; column < columns; column += 1) {
    const from = Math.floor((column * points.length) / columns);
    const to = Math.max(Math.floor(((column + 1) * points.length) / columns), from);
    const share = points.slice(from, to);
    const sum = share.reduce((total, point) => total + point.y, 0);
    means.push(share.length > 0 ? sum / share.length : (means.at(-1) ?? points[0]?.y ?? 0));
  }
  return means;
}
