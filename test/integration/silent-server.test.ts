import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { newNkey } from '../../service/staging/connect-staging.ts';
import { connectNats } from '../../service/staging/nats-connect.ts';
import { nkeyAuthenticator } from '../../service/staging/wire/nkey-authenticator.ts';
import { authorityCli } from '../support/grid-cli.ts';

test('a connection to a nats-server that says nothing is given up, and its socket closed', async () => {
  const server = createServer();
  const peers: Socket[] = [];
  server.on('connection', (socket) => {
    peers.push(socket);
    socket.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  try {
    const connecting = connectNats({
      servers: [`tls://127.0.0.1:${port}`],
      authenticator: nkeyAuthenticator('', newNkey()),
      inboxPrefix: '_INBOX',
      caPem: '',
    });
    await expect(connecting).rejects.toThrow('does not answer within 5 s');
    await expect.poll(() => peers.map(({ closed }) => closed)).toEqual([true]);
  } finally {
    for (const peer of peers) peer.destroy();
    server.close();
  }
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)(
  'a command ends soon after %s though the broker accepts connections and says nothing',
  async (signal, exit) => {
    const server = createServer((socket) => socket.resume());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    await using cli = await authorityCli();
    const child = spawn(process.execPath, ['bin/grid.js', 'ls', '--broker', `localhost:${port}`], {
      env: { ...process.env, FORCE_COLOR: '', CI: 'true', HANSE_HOME: cli.home },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += String(chunk);
    });
    try {
      await once(server, 'connection');
      child.kill(signal);
      // All that it said has been read then.
      const [code] = await once(child, 'close', { signal: AbortSignal.timeout(60_000) });
      expect({ code, said }).toEqual({ code: exit, said: 'grid: INTERRUPTED: interrupted\n' });
    } finally {
      child.kill('SIGKILL');
      server.close();
    }
  },
);
