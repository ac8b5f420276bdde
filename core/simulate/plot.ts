/** Line plots as SVG text, for reports: no browser, no library, the same bytes for the same figures. */

export interface PlotPoint {
  readonly x: number;
  readonly y: number;
}

export interface Series {
  readonly name: string;
  readonly points: readonly PlotPoint[];
  /** Position in the palette; series of one colour belong together. */
  readonly colour: number;
  /** Dashed and left out of the legend: what the line of the same colour is held against. */
  readonly reference?: true;
  /** With a dot at every point. */
  readonly dots?: true;
}

export interface Tick {
  readonly at: number;
  readonly text: string;
}

export interface Axis {
  readonly label: string;
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly Tick[];
  /** Logarithmic; what is below `from` is drawn at `from`. */
  readonly log?: true;
}

/** Panels stand below one another and have the same axes and one legend. */
export interface Plot {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly panels: readonly { readonly title: string; readonly series: readonly Series[] }[];
  /** One sentence below. */
  readonly note?: string;
}

/** Okabe and Ito's colours, which colour-blind people can tell apart, without the yellow that white swallows. */
const PALETTE = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#000000'];
/** How many series can be told apart. */
export const MAX_COLOURS = PALETTE.length;

const WIDTH = 760;
const LEFT = 72;
const RIGHT = 24;
const LEGEND_ROW = 20;
const PANEL = 240;
const PANEL_GAP = 44;
const INK = '#333333';

interface Frame {
  readonly plot: Plot;
  readonly top: number;
}

export function drawSvg(plot: Plot): string {
  const names = legendOf(plot);
  const legendTop = 48;
  const rows = legendRows(names);
  const panelsTop = legendTop + rows.length * LEGEND_ROW + 20;
  const bottom = panelsTop + plot.panels.length * (PANEL + PANEL_GAP);
  const height = bottom + (plot.note === undefined ? 8 : 30);
  const middle = (panelsTop + bottom - PANEL_GAP) / 2;
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="${INK}">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(LEFT, 28, plot.title, 'font-size="16" font-weight="bold"'),
    ...rows.flatMap((row, index) => drawLegendRow(row, legendTop + index * LEGEND_ROW)),
    ...plot.panels.flatMap((panel, index) =>
      drawPanel({ plot, top: panelsTop + index * (PANEL + PANEL_GAP) }, panel.title, panel.series),
    ),
    text(18, middle, plot.y.label, `text-anchor="middle" transform="rotate(-90 18 ${middle})"`),
    text((LEFT + WIDTH - RIGHT) / 2, bottom - 6, plot.x.label, 'text-anchor="middle"'),
    ...(plot.note === undefined
      ? []
      : [text(LEFT, bottom + 18, plot.note, 'fill="#666666" font-size="11"')]),
    '</svg>',
  ].join('\n')}\n`;
}

const escapeXml = (raw: string): string =>
  raw.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const text = (x: number, y: number, words: string, rest = ''): string =>
  `<text x="${round(x)}" y="${round(y)}" ${rest}>${escapeXml(words)}</text>`;

/** Tenths of a pixel are enough. */
const round = (value: number): number => Math.round(value * 10) / 10;

interface LegendItem {
  readonly name: string;
  readonly colour: number;
}

function legendOf({ panels }: Plot): readonly LegendItem[] {
  const items = new Map<string, LegendItem>();
  for (const { name, colour, reference } of panels.flatMap(({ series }) => series))
    if (reference !== true) items.set(name, { name, colour });
  return [...items.values()];
}

/** About what a word takes in this font. */
const widthOf = ({ name }: LegendItem): number => 44 + name.length * 6.6;

function legendRows(items: readonly LegendItem[]): readonly (readonly LegendItem[])[] {
  const rows: LegendItem[][] = [[]];
  let used = 0;
  for (const item of items) {
    if (used > 0 && used + widthOf(item) > WIDTH - LEFT - RIGHT) {
      rows.push([]);
      used = 0;
    }
    rows.at(-1)?.push(item);
    used += widthOf(item);
  }
  return rows;
}

function drawLegendRow(items: readonly LegendItem[], y: number): readonly string[] {
  let x = LEFT;
  return items.flatMap((item) => {
    const at = x;
    x += widthOf(item);
    return [
      `<line x1="${round(at)}" y1="${y}" x2="${round(at + 22)}" y2="${y}" stroke="${colourOf(item.colour)}" stroke-width="3"/>`,
      text(at + 28, y + 4, item.name),
    ];
  });
}

const colourOf = (index: number): string => PALETTE[index % PALETTE.length] ?? INK;

function drawPanel(frame: Frame, title: string, series: readonly Series[]): readonly string[] {
  const { plot, top } = frame;
  const base = top + PANEL;
  const right = WIDTH - RIGHT;
  return [
    ...plot.y.ticks.flatMap(({ at, text: words }) => {
      const y = round(yOf(frame, at));
      return [
        `<line x1="${LEFT}" y1="${y}" x2="${right}" y2="${y}" stroke="#e5e5e5"/>`,
        text(LEFT - 8, y + 4, words, 'text-anchor="end"'),
      ];
    }),
    ...plot.x.ticks.flatMap(({ at, text: words }) => {
      const x = round(xOf(plot, at));
      return [
        `<line x1="${x}" y1="${base}" x2="${x}" y2="${base + 5}" stroke="${INK}"/>`,
        text(x, base + 18, words, 'text-anchor="middle"'),
      ];
    }),
    `<path d="M${LEFT} ${top}V${base}H${right}" fill="none" stroke="${INK}"/>`,
    ...(title === '' ? [] : [text(LEFT, top - 8, title, 'font-weight="bold"')]),
    ...series.map((one) => drawSeries(frame, one)),
  ];
}

function drawSeries(frame: Frame, { points, colour, reference, dots }: Series): string {
  const stroke = colourOf(colour);
  const places = points.map(
    ({ x, y }) => [round(xOf(frame.plot, x)), round(yOf(frame, y))] as const,
  );
  const path = places.map(([x, y], index) => `${index === 0 ? 'M' : 'L'}${x} ${y}`).join('');
  const style =
    reference === true ? 'stroke-width="1.5" stroke-dasharray="5 4"' : 'stroke-width="2"';
  const marks = places.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="3.5" fill="${stroke}"/>`);
  const line = `<path d="${path}" fill="none" stroke="${stroke}" ${style} stroke-linejoin="round"/>`;
  return dots === true ? [line, ...marks].join('\n') : line;
}

const xOf = (plot: Plot, value: number): number =>
  LEFT + fraction(plot.x, value) * (WIDTH - LEFT - RIGHT);
const yOf = ({ plot, top }: Frame, value: number): number =>
  top + (1 - fraction(plot.y, value)) * PANEL;

/** Where a value lies on its axis, from 0 to 1; what is outside is at the edge. */
function fraction({ from, to, log }: Axis, value: number): number {
  const scale = (at: number): number => (log === true ? Math.log(Math.max(at, from)) : at);
  const span = scale(to) - scale(from) || 1;
  return Math.min(1, Math.max(0, (scale(value) - scale(from)) / span));
}
