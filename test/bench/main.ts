/**
 * `npm run bench -- --list` names the figures; `npm run bench -- NAME... [--json]` measures them (all without names).
 * A figure asserts that the work was done right before it is printed; what it was measured on is in its context.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import type { Measurement } from './figure.ts';
import { FIGURES } from './figures.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { list: { type: 'boolean' }, json: { type: 'boolean' } },
});

const machine = `${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown'}, Node ${process.versions.node}`;

function show(name: string, measured: Measurement): void {
  const { value, unit, context } = measured;
  if (values.json === true) {
    console.log(JSON.stringify({ figure: name, value, unit, context: { ...context, machine } }));
    return;
  }
  const details = Object.entries(context).map(([key, detail]) => `${key} ${String(detail)}`);
  console.log(
    `${name.padEnd(18)} ${String(value).padStart(8)} ${unit.padEnd(7)} ${details.join(', ')}`,
  );
}

if (values.list === true) {
  for (const { name, what, aim } of FIGURES)
    console.log(`${name.padEnd(18)} ${what} (aim: ${aim})`);
} else {
  const unknown = positionals.filter((name) => !FIGURES.some((figure) => figure.name === name));
  if (unknown.length > 0) {
    console.error(`bench: no figure '${unknown.join("', '")}': see --list`);
    process.exit(2);
  }
  const wanted = FIGURES.filter(
    ({ name }) => positionals.length === 0 || positionals.includes(name),
  );
  if (values.json !== true) console.log(machine);
  for (const { name, measure } of wanted) show(name, await measure());
}
