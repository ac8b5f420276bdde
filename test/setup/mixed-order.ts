import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Those of this project start grids, which keeps every core busy. */
const BUSY = 'e2e';
/** Those of this one wait for real services most of the time. */
const WAITING = 'integration';

/** Mixes files that compute with files that wait: one project after the other, cores would be short at first and idle later. */
export default class MixedOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await BaseSequencer.prototype.sort.call(this, files);
    const of = Map.groupBy(sorted, ({ project }) => project.name);
    const [busy, waiting] = [of.get(BUSY) ?? [], of.get(WAITING) ?? []];
    const others = sorted.filter((one) => !busy.includes(one) && !waiting.includes(one));
    const share = waiting.length / Math.max(1, busy.length);
    const mixed = busy.flatMap((one, at) => [
      one,
      ...waiting.slice(Math.floor(at * share), Math.floor((at + 1) * share)),
    ]);
    const left = busy.length === 0 ? waiting : [];
    return [...mixed, ...left, ...others];
  }
}
