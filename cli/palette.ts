import { createColors } from 'picocolors';

/** Colours by meaning. */
export interface Palette {
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly warn: (text: string) => string;
  readonly strong: (text: string) => string;
  readonly dim: (text: string) => string;
}

/** Colours, or plain text. */
export function palette(enabled: boolean): Palette {
  const { green, red, yellow, bold, dim } = createColors(enabled);
  return { good: green, bad: red, warn: yellow, strong: bold, dim };
}
