import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from '../../../service/clock.ts';
import { openLog } from '../../../service/log.ts';
import type { Supervisor } from '../../../site-gateway/attempts/supervisor.ts';
import { watchOwner } from '../../../site-gateway/owner/owner-watch.ts';
import { OWNER_CONFIG } from '../../../site-gateway/owner/settings.ts';
import { testDirs } from '../../support/test-dirs.ts';

const dirs = testDirs('owner-watch');
beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => vi.useRealTimers());

test('the machine stays its owner’s while nothing can be written, and what failed is tried again', async () => {
  const root = dirs();
  const battery = join(root, 'sys/class/power_supply/BAT0');
  mkdirSync(battery, { recursive: true });
  writeFileSync(join(battery, 'type'), 'Battery\n');
  writeFileSync(join(battery, 'status'), 'Discharging\n');
  // Nothing can be written there.
  const spool = dirs();
  mkdirSync(join(spool, 'owner.json'));
  const end = vi.fn<Supervisor['end']>();
  end.mockRejectedValueOnce(new Error('disk is full')).mockResolvedValue(undefined);
  const suspend = vi.fn<Supervisor['suspend']>();
  using owner = watchOwner({
    config: { spool, lrms: 'fork', owner: OWNER_CONFIG.parse({ root, 'when-back': 'suspend' }) },
    supervisor: { takenUp: () => Promise.resolve(), suspend, tasks: () => [], end },
    clock: systemClock,
    log: openLog('test', 'silent'),
    onChange: () => undefined,
  });
  expect(owner.closedReason()).toContain('on battery');
  await vi.advanceTimersByTimeAsync(5_000);
  expect(end.mock.calls.length).toBeGreaterThan(1);
  writeFileSync(join(battery, 'status'), 'Charging\n');
  await vi.advanceTimersByTimeAsync(5_000);
  expect(suspend).toHaveBeenLastCalledWith('');
});
