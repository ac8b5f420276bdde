import ora from 'ora';
import { formatDuration } from '../../core/units.ts';
import type { Context } from '../context.ts';
import { wrap } from '../render.ts';

/** Where the words of a line begin. */
const INDENT = 19;
const ARROW = '-> ';

/** How one link of the chain did. */
interface LinkReport {
  readonly link: string;
  readonly ok: boolean;
  readonly tookMs: number;
  readonly detail: string;
  /** What to do; '' where nothing is to be done. */
  readonly remedy: string;
}

/** What a link came to: words for people, and what to do where it is broken. */
export class BrokenLink extends Error {
  override readonly name = 'BrokenLink';
  readonly remedy: string;

  constructor(detail: string, remedy: string) {
    super(detail);
    this.remedy = remedy;
  }
}

/** What a link gives to the next one, and the words for its line. */
export interface Held<T> {
  readonly value: T;
  readonly words: string;
}

export const held = <T>(value: T, words: string): Held<T> => ({ value, words });

/** The chain as it is tried; each link is one line on stdout as soon as it is known. */
export interface Chain {
  readonly reports: readonly LinkReport[];
  /** Shows on a terminal what is being tried, until the next line. */
  tries(link: string): void;
  /** Shows nothing any more. */
  rests(): void;
  /** Notes that a link holds. `sinceMs` is a `performance.now()`. */
  holds(link: string, sinceMs: number, detail: string): void;
  breaks(link: string, sinceMs: number, detail: string, remedy: string): void;
}

export function openChain({ terminal, colours, json, quiet }: Context): Chain {
  const spinner = ora({
    isSilent: json || quiet || !terminal.showsProgress,
    discardStdin: false,
    hideCursor: true,
  });
  const reports: LinkReport[] = [];
  // A line stays one line for programs that read it.
  const hanging = (text: string, indent: number): string =>
    terminal.showsProgress
      ? wrap(text, terminal.columns - indent).replaceAll('\n', `\n${' '.repeat(indent)}`)
      : text;
  const add = (report: LinkReport): void => {
    reports.push(report);
    spinner.stop();
    if (json) return;
    const { link, ok, tookMs, detail, remedy } = report;
    const mark = ok ? colours.good('ok  ') : colours.bad('FAIL');
    const took = `(${formatDuration(tookMs)})`;
    terminal.out(`${mark}  ${link.padEnd(12)} ${hanging(`${detail} ${took}`, INDENT)}`);
    if (remedy !== '')
      terminal.out(`${' '.repeat(INDENT)}${ARROW}${hanging(remedy, INDENT + ARROW.length)}`);
  };
  const since = (sinceMs: number): number => Math.round(performance.now() - sinceMs);
  return {
    reports,
    tries: (link) => {
      spinner.start(`trying ${link}`);
    },
    rests: () => {
      spinner.stop();
    },
    holds: (link, sinceMs, detail) =>
      add({ link, ok: true, tookMs: since(sinceMs), detail, remedy: '' }),
    breaks: (link, sinceMs, detail, remedy) =>
      add({ link, ok: false, tookMs: since(sinceMs), detail, remedy }),
  };
}
