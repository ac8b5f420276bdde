import { describe, expect, test } from 'vitest';
import { BatchSilence } from '../../../site-gateway/lrms/batch/batch-command.ts';
import {
  amountOf,
  jobIdOf,
  parseDetails,
  parseQstat,
  stateOf,
} from '../../../site-gateway/lrms/gridengine/qstat.ts';
import { jobXml, qstatXml, TOKEN } from './captured.ts';

const pendingOf = (...jobs: readonly string[]) => parseQstat(qstatXml([], jobs)).pending;

describe('the list of jobs', () => {
  test('a queue instance tells its slots, its resources, and which tasks of ours run there', () => {
    const running = jobXml({ attribute: 'running', state: 'r', tasks: '4' });
    const [instance] = parseQstat(qstatXml([{ state: 'au', jobs: [running] }])).instances;
    if (instance === undefined) throw new Error('no instance');
    expect(instance).toMatchObject({ queue: 'main.q', host: 'n1', slotsTotal: 4, state: 'au' });
    expect(amountOf(instance, 'mem_free')).toBe(1_000 * 2 ** 20);
    expect(amountOf(instance, 'gpu')).toBeUndefined();
    expect(instance.jobs).toMatchObject([
      { number: '1', token: TOKEN, indexes: [4], isPending: false, requests: { mem_free: '64M' } },
    ]);
  });

  test.for([
    ['', [1], '1'],
    ['3', [3], '1.3'],
    ['9,10', [9, 10], '1.9'],
    ['1-3:1', [1, 2, 3], '1.1'],
    ['1-9:4,12-13', [1, 5, 9, 12, 13], '1.1'],
  ] as const)("tasks '%s' are %j", ([tasks, indexes, id]) => {
    const [line] = pendingOf(jobXml({ tasks }));
    expect(line?.indexes).toEqual(indexes);
    expect(line && jobIdOf(line, line.indexes[0] ?? 0)).toBe(id);
  });

  test.for([
    ['pending', 'qw', 'waits'],
    ['pending', 'hqw', 'waits'],
    ['pending', 'Rq', 'waits'],
    ['pending', 'Eqw', 'stuck'],
    ['running', 'r', 'runs'],
    ['running', 't', 'runs'],
    ['running', 'dr', 'runs'],
    ['running', 'Rr', 'runs'],
    ['running', 's', 'suspended'],
    ['running', 'S', 'suspended'],
    ['running', 'T', 'suspended'],
    ['running', 'dS', 'suspended'],
  ])('a job that is %s with state %s %s', ([attribute = '', state = '', expected]) => {
    const [line] = pendingOf(jobXml({ attribute, state }));
    expect(line && stateOf(line)).toBe(expected);
  });

  test("others' jobs are passed over, an empty list is one", () => {
    expect(pendingOf(jobXml({ name: 'somebody' }), jobXml({ name: `grid-${TOKEN}x` }))).toEqual([]);
    expect(parseQstat(qstatXml([], []))).toEqual({ instances: [], pending: [] });
  });

  test.for([
    ['nothing', ''],
    ['half of it', qstatXml([{}], [jobXml({})]).slice(0, 300)],
    ['all but its last line', qstatXml([], []).replace('</job_info>\n$', '').slice(0, -13)],
    ['a page of a proxy', '<html>502 Bad Gateway</html>'],
    ['another language', 'Keine Aufträge.\n'],
    ['an error amid good lines', qstatXml([], ['error: <commlib>'])],
    ['tasks that are no numbers', qstatXml([], [jobXml({ tasks: '1-x' })])],
    ['a step of 0', qstatXml([], [jobXml({ tasks: '1-9:0' })])],
    ['a job without a number', qstatXml([], [jobXml({}).replace('>1<', '><')])],
    ['slots that are no number', qstatXml([], [jobXml({ slots: 'many' })])],
  ])('%s is no answer', ([, text = '']) => {
    expect(() => parseQstat(text)).toThrow(BatchSilence);
  });
});

const DETAILS = `<?xml version='1.0'?>
<detailed_job_info>
  <djob_info><element>
    <JB_job_number>14</JB_job_number>
    <JB_ja_tasks>
      <ulong_sublist><JAT_task_number>1</JAT_task_number><JAT_message_list><ulong_sublist>
        <QIM_message>error: can&apos;t chdir to /nonex</QIM_message>
      </ulong_sublist></JAT_message_list></ulong_sublist>
    </JB_ja_tasks>
  </element></djob_info>
  <messages><element>
    <SME_message_list><element>
      <MES_job_number_list><ulong_sublist><ULNG_value>14</ULNG_value></ulong_sublist></MES_job_number_list>
      <MES_message>Job is in error state</MES_message>
    </element></SME_message_list>
    <SME_global_message_list><element>
      <MES_message>All queues dropped because of overload or full</MES_message>
    </element></SME_global_message_list>
  </element></messages>
</detailed_job_info>
`;

test('details say why a task could not be started, and why jobs wait', () => {
  const { errors, reasons, common } = parseDetails(DETAILS);
  expect(errors.get('14')?.get(1)).toBe("error: can't chdir to /nonex");
  expect(reasons.get('14')).toEqual(['Job is in error state']);
  expect(common).toEqual(['All queues dropped because of overload or full']);
  const off = '(Collecting of scheduler job information is turned off)';
  const quiet = parseDetails(
    DETAILS.replace('All queues dropped because of overload or full', off),
  );
  expect(quiet.common).toEqual([]);
  expect(() => parseDetails('<unknown_jobs/>')).toThrow(BatchSilence);
});
