import * as z from 'zod';
import { parseHours } from '../../core/owner/hours.ts';
import { type OwnerPolicy, WHEN_BACK } from '../../core/owner/owner-policy.ts';
import { duration, filePath } from '../../service/config.ts';

const lasting = (least: number): ReturnType<typeof duration> =>
  duration().refine((ms) => ms >= least && ms <= 7 * 86_400_000, {
    message: `must be from ${least / 1_000}s to 7d`,
  });

/** `owner` of a site's configuration. */
export const OWNER_CONFIG = z
  .strictObject({
    'idle-after': lasting(1_000)
      .prefault('15m')
      .describe('tasks begin when nobody has used keyboard, mouse or terminals for so long'),
    'when-back': z
      .enum(WHEN_BACK)
      .default('suspend')
      .describe('what becomes of tasks when somebody does: suspend, stop, or keep them running'),
    'resume-after': lasting(1_000)
      .prefault('5m')
      .describe('suspended tasks go on when nobody has for so long; at most idle-after'),
    'suspend-for': lasting(0)
      .prefault('10m')
      .describe('suspended tasks end after so long, and begin again elsewhere'),
    load: z
      .number()
      .min(0.05)
      .max(1)
      .default(0.25)
      .describe('share of all cores that other programs keep busy while the machine is in use'),
    hours: z
      .string()
      .refine((text) => parseHours(text) !== undefined, {
        message: 'must be like Mon-Fri 18:00-07:00, Sat-Sun',
      })
      .optional()
      .describe('when the machine is lent at all, by its own clock (default: always)'),
    'on-battery': z.boolean().default(false).describe('whether tasks run on battery'),
    root: filePath()
      .default('/')
      .describe('where /dev, /proc and /sys of the machine are, for a gateway in a container'),
  })
  .refine((owner) => owner['resume-after'] <= owner['idle-after'], {
    message: 'must not be longer than idle-after',
    path: ['resume-after'],
  })
  .refine(
    (owner) => owner['when-back'] !== 'suspend' || owner['suspend-for'] > owner['resume-after'],
    {
      message:
        'must be longer than resume-after, or tasks would never go on: then say when-back: stop',
      path: ['suspend-for'],
    },
  )
  .optional()
  .describe('this machine belongs to somebody; without this section it is lent always');

export const ownerPolicyOf = (owner: NonNullable<z.output<typeof OWNER_CONFIG>>): OwnerPolicy => ({
  idleAfterMs: owner['idle-after'],
  resumeAfterMs: owner['resume-after'],
  whenBack: owner['when-back'],
  suspendForMs: owner['suspend-for'],
  load: owner.load,
  hours:
    owner.hours === undefined
      ? undefined
      : { text: owner.hours, spans: parseHours(owner.hours) ?? [] },
  onBattery: owner['on-battery'],
});
