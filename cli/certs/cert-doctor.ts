import { ERRORS } from '../../core/error-codes.ts';
import { GridError } from '../../core/errors.ts';
import { formatDuration } from '../../core/units.ts';
import { fetchTrust } from '../../service/trust/fetch-trust.ts';
import { readAuthorities } from '../../service/trust/read-trust.ts';
import type { Settings } from '../config.ts';
import type { Context } from '../context.ts';
import {
  checkCertificate,
  checkKey,
  checkProxy,
  checkTrust,
  type Finding,
  fail,
  messageOf,
  ok,
  warn,
} from './cert-checks.ts';

const ANSWER_MS = 5_000;
/** Validation tolerates nothing beyond the five minutes that certificates are backdated. */
const SKEW_WARN_MS = 30_000;
const SKEW_FAIL_MS = 240_000;

/** `grid cert doctor`. */
export async function examine(context: Context): Promise<number> {
  const settings = await context.settings();
  const { env } = context;
  const nowMs = Date.now();
  const findings = [
    checkCertificate(settings, env, nowMs),
    checkKey(settings, env),
    checkProxy(settings, env, nowMs),
    ...checkTrust(settings, env, nowMs),
    ...(await checkAuthority(context, settings)),
    await checkBroker(context, settings),
  ];
  const healthy = findings.every(({ verdict }) => verdict !== 'fail');
  if (context.json) context.terminal.out(JSON.stringify({ healthy, findings }));
  else for (const finding of findings) context.terminal.out(lineOf(context, finding));
  return healthy ? 0 : 3;
}

function lineOf({ colours }: Context, { check, verdict, detail, remedy }: Finding): string {
  const paint = { ok: colours.good, warn: colours.warn, fail: colours.bad }[verdict];
  const advice = remedy === undefined ? '' : `\n${' '.repeat(19)}-> ${remedy}`;
  return `${paint(verdict.padEnd(4))}  ${check.padEnd(12)} ${detail}${advice}`;
}

/** Whether the authority answers, and how its clock differs from ours. */
async function checkAuthority(context: Context, settings: Settings): Promise<readonly Finding[]> {
  const { authority: address } = settings;
  if (address === undefined) {
    const remedy = `set \`authority: HOST:PORT\` in ${settings.home}/config.yaml`;
    return [warn('authority', 'none is named: no login with a VO, no renewal', remedy)];
  }
  try {
    const caPem = readAuthorities(settings.trust);
    const trusted = await fetchTrust(address, caPem, within(context.signal));
    return [ok('authority', `${address}, in ${trusted.tookMs} ms`), checkClock(trusted)];
  } catch (error) {
    const remedy =
      'check the address and the network; work goes on without it until your login ends';
    return [warn('authority', messageOf(error), remedy)];
  }
}

function checkClock(trusted: { readonly aheadMs: number; readonly tookMs: number }): Finding {
  const skewMs = Math.max(0, Math.abs(trusted.aheadMs) - trusted.tookMs / 2);
  if (skewMs < SKEW_WARN_MS) return ok('clock', 'agrees with the authority');
  const way = trusted.aheadMs > 0 ? 'behind' : 'ahead of';
  const detail = `${formatDuration(skewMs)} ${way} the authority`;
  const remedy = 'set the clock of this machine (NTP)';
  return skewMs > SKEW_FAIL_MS ? fail('clock', detail, remedy) : warn('clock', detail, remedy);
}

/** Whether the broker answers, and lets us in. */
async function checkBroker(context: Context, settings: Settings): Promise<Finding> {
  if (settings.broker === undefined) {
    const remedy = `set \`broker: HOST:PORT\` in ${settings.home}/config.yaml`;
    return warn('broker', 'none is named: no jobs', remedy);
  }
  try {
    using broker = await context.openBroker();
    await broker.call.whoAmI({}, { signal: within(context.signal), deadlineMs: ANSWER_MS });
    return ok('broker', `${settings.broker} lets you in`);
  } catch (error) {
    const isOurs = error instanceof GridError && ERRORS[error.code].exit === 3;
    const remedy = isOurs
      ? 'see the findings above; `grid login` mends most of them'
      : 'check the address and the network';
    return fail('broker', messageOf(error), remedy);
  }
}

const within = (signal: AbortSignal): AbortSignal =>
  AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
