/** A figure with what it was measured on. */
export interface Measurement {
  readonly value: number;
  readonly unit: string;
  readonly context: Readonly<Record<string, string | number>>;
}

/** Something that can be measured. `measure` throws when the work was not done right. */
export interface Figure {
  readonly name: string;
  readonly what: string;
  readonly aim: string;
  readonly measure: () => Promise<Measurement>;
}
