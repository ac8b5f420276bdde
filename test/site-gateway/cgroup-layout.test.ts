import { expect, test } from 'vitest';
import { ownGroups } from '../../site-gateway/lrms/sandbox/cgroup-layout.ts';

test('a process is told by controller where it is, version 2 having no name', () => {
  const text = '8:pids:/\n4:memory:/user.slice/a:b\n2:cpu,cpuacct:/x\n0::/user.slice\n';
  expect(Object.fromEntries(ownGroups(text))).toEqual({
    pids: '/',
    memory: '/user.slice/a:b',
    cpu: '/x',
    cpuacct: '/x',
    '': '/user.slice',
  });
});
