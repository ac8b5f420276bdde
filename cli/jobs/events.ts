import type { Context } from '../context.ts';
import { argument, type Input } from '../input.ts';
import { instantText, stateText } from '../render.ts';
import { awayNote, followJob } from './follow.ts';
import { type EventView, eventView } from './job-view.ts';

/** `grid job events`. */
export async function showEvents(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const { signal, terminal } = context;
  const jobId = argument(input, 0);
  const show = (event: EventView): void =>
    terminal.out(context.json ? JSON.stringify(event) : eventLine(context, event));
  if (input.on('follow')) {
    const onAway = awayNote(terminal.note);
    for await (const event of followJob({ broker: broker.call, jobId, signal, onAway }))
      show(event);
    return 0;
  }
  const known = broker.call.watchJob({ jobId, afterSeq: 0, follow: false }, { signal });
  for await (const event of known) show(eventView(event));
  return 0;
}

/** One event on one line, for `events` and `run`. */
export function eventLine({ colours }: Pick<Context, 'colours'>, event: EventView): string {
  const what = event.ordinal < 0 ? 'job' : `task ${event.ordinal}`;
  const where = event.site === '' ? '' : ` at ${event.site}`;
  const why = [event.reason, event.detail].filter((text) => text !== '').join(': ');
  return [
    colours.dim(instantText(event.atMs)),
    `${what} ${event.kind}: ${stateText(event.state, colours)}${where}`,
    ...(why === '' ? [] : [colours.dim(why)]),
  ].join('  ');
}
