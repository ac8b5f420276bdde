import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jobEnd } from '../../support/jobs.ts';
import { startLocalGrid } from '../../support/local-grid.ts';
import type { Measurement } from '../figure.ts';
import { rounded } from '../statistics.ts';
import { MIB, writeRandom } from './world.ts';

const JOBS = 100;
const INPUT_BYTES = 256 * MIB;

/** Jobs with the same large input at one site, through broker and gateway: how many times its bytes came over the network. */
export async function stageShared(): Promise<Measurement> {
  const siteSettings = [{ 'keep-attempts': '0s' }];
  await using grid = await startLocalGrid({ sites: 1, cpusPerSite: 4, siteSettings });
  const dir = await mkdtemp(join(process.env['BENCH_DIR'] ?? tmpdir(), 'hanse-bench-'));
  try {
    await writeRandom(join(dir, 'input.bin'), INPUT_BYTES);
    const job = join(dir, 'job.yaml');
    // A task that finds anything but the input fails.
    const check = `echo ${await digestOf(join(dir, 'input.bin'))} input.bin | sha256sum -c`;
    await writeFile(
      job,
      `inputs: [input.bin]\ncpus: 1\nmemory: 64M\nwalltime: 10m\ncommand: [sh, -c, '${check}']\n`,
    );
    const submitted = await grid.grid(['submit', job, '--json'], { cwd: dir });
    if (submitted.code !== 0) throw new Error(submitted.stderr);
    const [{ id = '' } = {}] = JSON.parse(submitted.stdout) as { readonly id?: string }[];
    using connection = await grid.broker();
    const broker = connection.call;
    const first = await broker.getJob({ jobId: id, summaryOnly: false, firstTask: 0, maxTasks: 0 });
    const startedMs = performance.now();
    const others = Array.from({ length: JOBS - 1 }, () => ({
      spec: first.spec,
      inputs: first.inputs,
      node: '',
    }));
    const request = { submitKey: randomUUID(), jobs: others, flow: undefined, s3: [] };
    const { jobIds } = await broker.submit(request);
    let bytesIn = 0;
    for (const jobId of [id, ...jobIds]) {
      const ended = await jobEnd(broker, jobId, 600_000);
      const [task] = ended.tasks;
      if (ended.summary?.counts?.done !== 1 || task?.attempts !== 1)
        throw new Error(`job ${jobId}: ${task?.reason ?? ''} ${task?.detail ?? ''}`);
      bytesIn += task.outcome?.usage?.bytesIn ?? 0;
    }
    const fetched = bytesIn / INPUT_BYTES;
    if (fetched < 1 || fetched > 1.001) throw new Error(`the input was fetched ${fetched} times`);
    const seconds = rounded((performance.now() - startedMs) / 1_000);
    const context = { jobs: JOBS, MiB: INPUT_BYTES / MIB, 'bytes fetched': bytesIn, seconds };
    return { value: rounded(fetched), unit: 'times', context };
  } finally {
    await rm(dir, { recursive: true });
  }
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  const reading = createReadStream(file, { highWaterMark: MIB });
  reading.on('data', (part) => hash.update(part));
  await once(reading, 'end');
  return hash.digest('hex');
}
