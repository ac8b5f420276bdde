import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { GridError } from '../../core/errors.ts';
import {
  decide,
  firstState,
  type OwnerPolicy,
  type OwnerState,
} from '../../core/owner/owner-policy.ts';
import { formatDuration } from '../../core/units.ts';
import { background, pause } from '../../service/background.ts';
import type { Clock } from '../../service/clock.ts';
import type { Log } from '../../service/log.ts';
import type { Supervisor } from '../attempts/supervisor.ts';
import type { SiteConfig } from '../config.ts';
import { openSignReader } from './owner-signs.ts';
import { ownerPolicyOf } from './settings.ts';

/** Whether the machine's owner has it. */
export interface OwnerWatch extends Disposable {
  /** Why the machine is not the grid's at the moment; '' while it is. */
  closedReason(): string;
}

interface Around {
  readonly config: Pick<SiteConfig, 'owner' | 'lrms' | 'spool'>;
  readonly supervisor: Pick<Supervisor, 'takenUp' | 'suspend' | 'tasks' | 'end'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly onChange: () => void;
}

const LOOK_MS = 2_000;

/** Looks at the machine again and again, and does with its tasks what its owner wants; without `owner` nothing. */
export function watchOwner(around: Around): OwnerWatch {
  const { config, supervisor, log, clock } = around;
  if (config.owner === undefined) {
    // What an earlier run, which had an owner, has suspended.
    background(
      'resume tasks',
      supervisor.takenUp().then(() => supervisor.suspend('')),
      log,
    );
    return { closedReason: () => '', [Symbol.dispose]: () => undefined };
  }
  if (config.lrms !== 'fork')
    throw new GridError('CONFIG_INVALID', 'owner is for lrms: fork', {
      problems: [{ where: 'owner', message: `${config.lrms} has such rules of its own` }],
    });
  const policy = ownerPolicyOf(config.owner);
  const file = join(config.spool, 'owner.json');
  const reader = openSignReader({ root: config.owner.root, spool: config.spool }, { clock, log });
  const stop = new AbortController();
  let state = decide(policy, firstState(clock.nowMs(), keptSince(file)), reader.look());
  const look = (): void => {
    const before = state;
    state = decide(policy, before, reader.look());
    if (state.inUseSinceMs !== before.inUseSinceMs) keepSince(file, state.inUseSinceMs, log);
    if (state.phase === before.phase && state.why === before.why) return;
    log.info({ phase: state.phase, why: state.why }, 'what the owner lends has changed');
    around.onChange();
  };
  const run = async (): Promise<void> => {
    await supervisor.takenUp();
    while (!stop.signal.aborted) {
      // A full disk, a machine without memory: it is the owner's all the same.
      await carryOut(policy, state, supervisor).catch((error: unknown) =>
        log.error({ err: error }, 'what the owner wants could not be done, and is tried again'),
      );
      await pause(LOOK_MS, stop.signal);
      if (!stop.signal.aborted) look();
    }
  };
  keepSince(file, state.inUseSinceMs, log);
  background('watch the owner', run(), log);
  return {
    closedReason: () => state.why,
    [Symbol.dispose]: () => {
      stop.abort();
      reader[Symbol.dispose]();
    },
  };
}

async function carryOut(
  policy: OwnerPolicy,
  { phase, why }: OwnerState,
  supervisor: Around['supervisor'],
): Promise<void> {
  if (phase !== 'ended') supervisor.suspend(phase === 'suspended' ? why : '');
  if (phase !== 'open') await supervisor.end(supervisor.tasks('waiting'), 'owner', { why });
  if (phase !== 'ended') return;
  const patience = `tasks stand still for ${formatDuration(policy.suspendForMs)} and then begin again elsewhere`;
  const words = policy.whenBack === 'stop' ? why : `${why}; ${patience}`;
  await supervisor.end(supervisor.tasks('begun'), 'owner', { why: words });
}

const KEPT = z.object({ inUseSinceMs: z.number().optional() });

/** How long tasks have been suspended is to be known after a restart, too. */
function keptSince(file: string): number | undefined {
  try {
    return KEPT.parse(JSON.parse(readFileSync(file, 'utf8'))).inUseSinceMs;
  } catch {
    // There is none yet, or a crash has cut it short: the time is counted from now on.
    return undefined;
  }
}

function keepSince(file: string, inUseSinceMs: number | undefined, log: Log): void {
  try {
    writeFileSync(file, JSON.stringify({ inUseSinceMs }));
  } catch (error) {
    log.warn({ err: error }, 'a later run will not know since when the owner has the machine');
  }
}
