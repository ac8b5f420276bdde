import { readFileSync, rmSync } from 'node:fs';
import { writeAtomic } from '../../service/write-atomic.ts';
import type { RunningGrid } from './layout.ts';

/** Keeps in a file which programs of a grid run, for `grid down`. */
export class RunningRecord {
  private readonly file: string;
  private readonly attachedTo: number | undefined;
  private readonly programs: RunningGrid['programs'][number][] = [];
  private written: Promise<void> = Promise.resolve();

  /** `attachedTo`: the process with which the grid ends; undefined when it outlives that. */
  constructor(file: string, attachedTo: number | undefined) {
    this.file = file;
    this.attachedTo = attachedTo;
  }

  /** Returns once the file names the program. Programs that start at a time are written one after the other: the last one knows all. */
  add(name: string, pid: number): Promise<void> {
    this.programs.push({ name, pid });
    this.written = this.written.then(() => writeAtomic(this.file, this.text(), 0o600));
    return this.written;
  }

  /** Removes the file, unless another start of the grid has written it since: that one is not ours to forget. */
  remove(): void {
    try {
      if (readFileSync(this.file, 'utf8') === this.text()) rmSync(this.file, { force: true });
    } catch {
      // It is gone already, with `grid down`.
    }
  }

  private text(): string {
    const attached = this.attachedTo === undefined ? {} : { attachedTo: this.attachedTo };
    const running: RunningGrid = { ...attached, programs: this.programs };
    return JSON.stringify(running);
  }
}
