import { EMPTY_TREE, type TreeRef } from '../../core/data/manifest.ts';
import { type ErrorCode, GridError } from '../../core/errors.ts';
import type { VoName } from '../../core/ids.ts';
import type { LiveOutputs } from '../../core/job/live-outputs.ts';
import { pause } from '../../service/background.ts';
import { treeFromWire } from '../../service/rpc/wire.ts';
import type { Admit } from '../data/sweeper.ts';
import { attemptAt, type Report } from '../jobs/updates.ts';
import type { Link, Session } from './site-context.ts';

/** A report with a tree of results of which the store lacks chunks, or cannot say now. */
export interface Lacking {
  readonly report: Ended;
  readonly vo: VoName;
  readonly error: GridError;
}

type Ended = Report & Required<Pick<Report, 'outcome'>>;

/** The report, when its trees have been looked at; or what of it has to be sent again first. */
export async function withOutputs(link: Link, report: Report): Promise<Report | Lacking> {
  const { book, site, admit, doubt } = link;
  const { outcome, live, attemptId: id } = report;
  const vo = attemptAt(book.table, site.id, id)?.task.job.vo;
  if (vo === undefined) return report;
  if (outcome?.failure === 'data') doubt(vo, outcome.detail);
  if (live !== undefined) return { ...report, live: await kept(admit, vo, live) };
  return outcome === undefined ? report : admitted(admit, vo, { ...report, outcome });
}

async function admitted(admit: Admit, vo: VoName, report: Ended): Promise<Report | Lacking> {
  try {
    await admit(vo, report.outcome.outputs, 'gateway');
    return report;
  } catch (error) {
    if (!(error instanceof GridError)) throw error;
    const isLacking = error.code === 'CHUNK_MISSING' || PASSING.includes(error.code);
    return isLacking ? { report, vo, error } : withoutOutputs(report, error);
  }
}

/** Live outputs whose chunks have been swept since are not there; the next ones will be. */
async function kept(admit: Admit, vo: VoName, live: LiveOutputs): Promise<LiveOutputs> {
  try {
    await admit(vo, live.tree, 'live');
    return live;
  } catch (error) {
    if (!(error instanceof GridError)) throw error;
    return { ...live, tree: EMPTY_TREE, trouble: `${error.code}: ${error.message}` };
  }
}

/** The store or the gateway is away for now, or a large tree takes longer: only what is still missing goes the next time. */
const PASSING: readonly ErrorCode[] = [
  'UNAVAILABLE',
  'STAGING_UNAVAILABLE',
  'INTERRUPTED',
  'DEADLINE_EXCEEDED',
];
const SEND_AGAIN_MS = 300_000;
const PAUSE_MS = 2_000;

/**
 * What the gateway found in the store when it sent outputs may have been swept since: then it sends that, while it has the
 * files. The report as it is then; of a failure where they cannot be sent again. Tried until the session ends; undefined then.
 */
export async function sentAgain(
  link: Link,
  session: Session,
  { report, vo, error }: Lacking,
): Promise<Report | undefined> {
  const { signal } = session;
  const { outcome, attemptId: attempt } = report;
  link.log.warn({ attempt, err: error }, 'outputs are sent again');
  let told = '';
  while (!signal.aborted) {
    try {
      const outputs = await sendAgain(link, session, { attempt, vo });
      return { ...report, outcome: { ...outcome, outputs } };
    } catch (second) {
      if (!(second instanceof GridError)) throw second;
      const words = `${error.message}, and not to be had: ${second.message}`;
      const again = new GridError(second.code, words);
      if (!PASSING.includes(second.code)) return withoutOutputs(report, again);
      if (!signal.aborted && words !== told)
        link.log.warn({ attempt, err: again }, 'outputs will be sent again');
      told = words;
      await pause(PAUSE_MS, signal);
    }
  }
  return undefined;
}

async function sendAgain(
  { admit, epoch }: Link,
  { gateway, signal }: Session,
  { attempt, vo }: { readonly attempt: string; readonly vo: VoName },
): Promise<TreeRef> {
  const request = { epoch, attemptId: attempt };
  const answer = await gateway.sendAgain(request, { signal, deadlineMs: SEND_AGAIN_MS });
  const sent = treeFromWire(answer.outputs);
  await admit(vo, sent, 'gateway');
  return sent;
}

function withoutOutputs({ outcome, ...report }: Ended, error: GridError): Report {
  const lost = { failure: 'data', reason: 'OUTPUTS_LOST', detail: error.message } as const;
  return { ...report, state: 'failed', outcome: { ...outcome, ...lost, outputs: EMPTY_TREE } };
}
