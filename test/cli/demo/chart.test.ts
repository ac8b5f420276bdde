import { expect, test } from 'vitest';
import { drawChart } from '../../../cli/demo/chart.ts';

const options = {
  columns: 4,
  rows: 2,
  formatX: (value: number) => `${value}`,
  formatY: (value: number) => value.toFixed(0),
};

test('the lowest value fills one eighth, the highest every row', () => {
  const points = [0, 1, 2, 3].map((x) => ({ x, y: x }));
  expect(drawChart(points, options)).toEqual(['3 ┤  ▃█', '0 ┤▁▆██', '  └────', '   0  3']);
});

test('a flat curve is drawn, not divided by zero', () => {
  const lines = drawChart([{ x: 0, y: 7 }], { ...options, columns: 2 });
  expect(lines[1]).toContain('▁▁');
});
