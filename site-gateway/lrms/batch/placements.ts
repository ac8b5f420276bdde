import type { Element } from './batch-system.ts';
import type { BatchTask } from './batch-task.ts';

/** Tasks that have an element, by submission and index. */
export class Placements {
  private readonly byToken = new Map<string, Map<number, BatchTask>>();

  /** One without an element is left out. */
  add(entry: BatchTask): void {
    if (entry.element === undefined) return;
    const { token, index } = entry.element;
    const members = this.byToken.get(token) ?? new Map<number, BatchTask>();
    members.set(index, entry);
    this.byToken.set(token, members);
  }

  /**
   * Gives the submission of which it was the last. One of an earlier run stays until it is old: others of it may be taken up
   * only now, and without it they would look as if they had never begun.
   */
  remove({ element, takenUp }: BatchTask): string | undefined {
    if (element === undefined) return undefined;
    const members = this.byToken.get(element.token);
    members?.delete(element.index);
    if (members?.size !== 0) return undefined;
    this.byToken.delete(element.token);
    return takenUp ? undefined : element.token;
  }

  at({ token, index }: Element): BatchTask | undefined {
    return this.byToken.get(token)?.get(index);
  }

  has(token: string): boolean {
    return this.byToken.has(token);
  }

  tokens(): readonly string[] {
    return [...this.byToken.keys()];
  }
}
