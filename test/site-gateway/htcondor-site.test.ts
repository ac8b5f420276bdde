import { expect, test } from 'vitest';
import { htcondorOptions } from '../../site-gateway/lrms/htcondor/htcondor-site.ts';

const HTCONDOR = {
  slots: '',
  'accounting-group': '',
  'submit-lines': [],
  'host-patience': 60_000,
  bin: '/opt/bin',
};
const optionsOf = (uid: number, settings: { slots?: string; 'submit-lines'?: string[] } = {}) =>
  htcondorOptions(
    { htcondor: { ...HTCONDOR, ...settings }, spool: '/srv/hanse' },
    { uid, username: 'one' },
    '/usr/bin',
  );

test('a gateway of root cannot have HTCondor, which takes no jobs of root', () => {
  expect(optionsOf(7)).toMatchObject({ user: 'one', path: '/opt/bin:/usr/bin', config: '' });
  expect(() => optionsOf(0)).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      problems: [
        { where: 'lrms:', message: expect.stringContaining('HTCondor runs no jobs of root') },
      ],
    }),
  );
});

test('further lines may not undo what `slots` requires', () => {
  const lines = ['rank = Mips', 'Requirements = Mips > 9'];
  expect(optionsOf(7, { 'submit-lines': lines })).toMatchObject({ lines });
  expect(() => optionsOf(7, { slots: 'Mips > 5', 'submit-lines': lines })).toThrow(
    expect.objectContaining({
      problems: [expect.objectContaining({ where: 'htcondor.submit-lines:' })],
    }),
  );
});
