/** What Grid Engine 8.1.9 prints, cut down to what is read. */

export const TOKEN = '0123456789abcdef';

export interface JobXml {
  readonly attribute?: string;
  readonly name?: string;
  readonly state?: string;
  readonly slots?: string;
  readonly tasks?: string;
}

export const jobXml = ({
  attribute = 'pending',
  name = `grid-${TOKEN}`,
  state = 'qw',
  slots = '1',
  tasks = '',
}: JobXml): string => `      <job_list state="${attribute}">
        <JB_job_number>1</JB_job_number>
        <JAT_prio>0.25000</JAT_prio>
        <JB_name>${name}</JB_name>
        <JB_owner>root</JB_owner>
        <state>${state}</state>
        <slots>${slots}</slots>${tasks === '' ? '' : `\n        <tasks>${tasks}</tasks>`}
        <full_job_name>${name}</full_job_name>
        <hard_request name="h_rt" resource_contribution="0.000000">100</hard_request>
        <hard_request name="mem_free" resource_contribution="0.000000">64M</hard_request>
        <binding>NONE</binding>
      </job_list>`;

export interface InstanceXml {
  readonly name?: string;
  readonly used?: number;
  readonly state?: string;
  readonly jobs?: readonly string[];
  readonly memory?: string;
  readonly limit?: string;
  readonly slotsLeft?: number;
}

const instanceXml = ({
  name = 'main.q@n1',
  used = 0,
  state = '',
  jobs = [],
  memory = '1000.000M',
  limit = '01:00:00',
  slotsLeft = 4 - used,
}: InstanceXml): string => `    <Queue-List>
      <name>${name}</name>
      <qtype>BIP</qtype>
      <slots_used>${used}</slots_used>
      <slots_resv>0</slots_resv>
      <slots_total>4</slots_total>
      <load_avg>4.72705</load_avg>
      <arch>lx-amd64</arch>${state === '' ? '' : `\n      <state>${state}</state>`}
      <resource name="mem_total" type="hl">23.541G</resource>
      <resource name="mem_free" type="hc">${memory}</resource>
      <resource name="slots" type="hc">${slotsLeft}</resource>
      <resource name="h_rt" type="qf">${limit}</resource>
${jobs.join('\n')}
    </Queue-List>`;

export const qstatXml = (
  instances: readonly InstanceXml[],
  pending: readonly string[] = [],
): string => `<?xml version='1.0'?>
<job_info  xmlns:xsd="http://arc.liv.ac.uk/repos/darcs/sge/source/dist/util/resources/schemas/qstat/qstat.xsd">
  <queue_info>
${instances.map(instanceXml).join('\n')}
  </queue_info>
  <job_info>
${pending.join('\n')}
  </job_info>
</job_info>
`;
