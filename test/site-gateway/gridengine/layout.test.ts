import { expect, test } from 'vitest';
import { capacityOf } from '../../../site-gateway/lrms/gridengine/capacity.ts';
import { type CellLayout, openLayout } from '../../../site-gateway/lrms/gridengine/layout.ts';
import { parseQstat, type QueueInstance } from '../../../site-gateway/lrms/gridengine/qstat.ts';
import { qstatXml } from './captured.ts';

/** As 8.1.9 prints it. */
const hostText = (name: string, slots: number): string => `hostname              ${name}
load_scaling          NONE
complex_values        slots=${slots},mem_free=1000M
load_values           arch=lx-amd64,num_proc=4,mem_total=24105.984375M, \\
                      swap_total=0.000000M,virtual_total=24105.984375M
processors            4
user_lists            NONE
xuser_lists           NONE
projects              NONE
xprojects             NONE
usage_scaling         NONE
report_variables      NONE
`;
const TEXTS: Readonly<Record<string, string>> = {
  '-sconf': '#global:\nexecd_spool_dir  /spool\nmax_aj_tasks  75000\n',
  '-sc': `#name shortcut type relop requestable consumable default urgency
mem_free mf MEMORY <= YES JOB 0 0
slots s INT <= YES YES 1 1000
`,
  '-sq': 'qname  main.q\nqtype  BATCH INTERACTIVE\npe_list  NONE\n',
};
const LOOKS = 60;

/** A cell whose hosts have so many slots, and what was asked about hosts at each look. */
function cellOf(slots: ReadonlyMap<string, number>) {
  let asked: string[] = [];
  const layout: CellLayout = openLayout(
    (_command, [option = '', name = '']) => {
      if (option !== '-se') return Promise.resolve(TEXTS[option] ?? '');
      asked.push(name);
      return Promise.resolve(hostText(name, slots.get(name) ?? 0));
    },
    { queues: [], memory: '', gpus: '', licences: {} },
  );
  const look = async (instances: readonly QueueInstance[]) => {
    asked = [];
    await layout.look();
    await layout.lookAtHosts(instances);
    const known = layout.now().hosts.size;
    return { asked: asked.length, known, cpus: capacityOf(instances, layout.now()).cpus };
  };
  return { look };
}

const instancesOf = (slots: ReadonlyMap<string, number>): readonly QueueInstance[] =>
  parseQstat(qstatXml([...slots.keys()].map((host) => ({ name: `main.q@${host}` })))).instances;

const hosts = (count: number, slots: number): Map<string, number> =>
  new Map(Array.from({ length: count }, (_, at) => [`node${at}`, slots]));

test('a cell of 2000 hosts becomes known whole, a few hosts at each look, and stays so', async () => {
  const slots = hosts(2_000, 3);
  const { look } = cellOf(slots);
  const instances = instancesOf(slots);
  const looks = [];
  for (let at = 0; at < 2 * LOOKS; at += 1) looks.push(await look(instances));
  expect(Math.max(...looks.map(({ asked }) => asked))).toBe(34);
  expect(looks[LOOKS - 1]).toMatchObject({ known: 2_000, cpus: 6_000 });
  expect(looks.slice(LOOKS).map(({ known }) => known)).toEqual(Array(LOOKS).fill(2_000));
  // Nothing is asked twice before it is old.
  expect(looks.slice(0, LOOKS).reduce((sum, { asked }) => sum + asked, 0)).toBe(2_000);
});

test('what has changed is read again, and hosts that are gone are forgotten', async () => {
  const slots = hosts(20, 3);
  const { look } = cellOf(slots);
  for (let at = 0; at < LOOKS; at += 1) await look(instancesOf(slots));
  slots.set('node7', 1);
  slots.delete('node8');
  const left = instancesOf(slots);
  expect(await look(left)).toEqual({ asked: 8, known: 19, cpus: 18 * 3 + 1 });
  for (let at = 0; at < 2; at += 1) await look(left);
  expect(await look(left)).toEqual({ asked: 0, known: 19, cpus: 18 * 3 + 1 });
});
