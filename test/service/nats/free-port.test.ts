import { expect, test } from 'vitest';
import { freePort } from '../../../service/nats/nats-config.ts';

test('no port is given twice before anybody can listen on it', async () => {
  const ports: number[] = [];
  for (let at = 0; at < 600; at += 1) ports.push(await freePort('127.0.0.1'));
  expect(new Set(ports).size).toBe(ports.length);
});
