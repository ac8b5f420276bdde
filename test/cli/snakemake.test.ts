import { expect, test } from 'vitest';
import { readJobscript } from '../../cli/snakemake/jobscript.ts';

/** As snakemake 7.21 writes it. */
const scriptOf = (properties: object, base = '/home/ada/study', snakefile = `${base}/Snakefile`) =>
  `#!/bin/sh
# properties = ${JSON.stringify({ type: 'single', local: false, params: {}, cluster: {}, ...properties })}
cd '${base}' && /usr/bin/python3 -m snakemake --snakefile '${snakefile}' --target-jobs 'count:s=a' --allowed-rules 'count' --cores 'all' --wait-for-files '${base}/.snakemake/tmp.fsauvggw' 'out/a.txt' --force --latency-wait 5 --mode 2 && exit 0 || exit 1
`;
const COUNT = {
  rule: 'count',
  jobid: 7,
  input: ['out/a.txt'],
  output: ['out/a.count'],
  log: ["logs/it's.log"],
  threads: 2,
  resources: { mem_mb: 123, disk_mb: 1000, runtime: 3, tmpdir: '<TBD>', nvidia_gpu: 1 },
};

test('a rule becomes a job with its files and needs', () => {
  const job = readJobscript(scriptOf(COUNT), '/home/ada/study');
  expect(job).toMatchObject({
    name: 'count.7',
    snakefile: 'Snakefile',
    inputs: ['out/a.txt'],
    outputs: ['out/a.count'],
    logs: ["logs/it's.log"],
    needs: { cpus: '2', memory: '123M', disk: '1000M', walltime: '3m', gpus: '1' },
  });
});

test('the script knows neither the directory nor the Python of the submitter', () => {
  const { script } = readJobscript(scriptOf(COUNT), '/home/ada/study');
  expect(script).not.toMatch(/ada|python/);
  expect(script).toContain("mkdir -p '.snakemake/tmp.fsauvggw'");
  expect(script).toContain("( snakemake --snakefile 'Snakefile' --target-jobs 'count:s=a'");
  expect(script).toContain("[ -e './logs/it'\\''s.log' ] ||");
});

test('absolute paths below the working directory are taken, too', () => {
  const absolute = { ...COUNT, input: ['/home/ada/study/out/a.txt'] };
  expect(readJobscript(scriptOf(absolute), '/home/ada/study').inputs).toEqual(['out/a.txt']);
});

test('a group of rules has the name of the group', () => {
  const group = { type: 'group', groupid: 'g/1', jobid: 'a-b', input: [], output: ['x'] };
  expect(readJobscript(scriptOf(group), '/home/ada/study').name).toBe('g_1.a-b');
});

test.for([
  ['no job script', '#!/bin/sh\necho hello\n', 'no line `# properties'],
  ['properties cut off', scriptOf(COUNT).replace('{"type"', '{"type'), 'cannot be read'],
  ['another command', scriptOf(COUNT).replace('-m snakemake', '-m toil'), 'starts no snakemake'],
  ['an input elsewhere', scriptOf({ ...COUNT, input: ['../raw.txt'] }), "'../raw.txt' is outside"],
  [
    'an output elsewhere',
    scriptOf({ ...COUNT, output: ['/etc/passwd'] }),
    "'/etc/passwd' is outside",
  ],
  [
    'the Snakefile elsewhere',
    scriptOf(COUNT, '/home/ada/study', '/opt/Snakefile'),
    "'/opt/Snakefile'",
  ],
] as const)('%s is refused', ([, text, words]) => {
  expect(() => readJobscript(text, '/home/ada/study')).toThrow(
    expect.objectContaining({ code: 'SPEC_INVALID', message: expect.stringContaining(words) }),
  );
});
