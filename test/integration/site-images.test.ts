import { describe, expect, test } from 'vitest';
import { Acceptance } from '../../proto/gen/grid/v1/site.ts';
import { openLog } from '../../service/log.ts';
import { offerFromWire } from '../../service/rpc/wire.ts';
import { findRuntime } from '../../site-gateway/software/find-runtime.ts';
import { imagesContract } from '../contract/images.contract.ts';
import { EPOCH } from '../fakes/test-site.ts';
import { makeImageStore } from '../support/image-store.ts';

const { store, site } = imagesContract(makeImageStore);

describe('a site with containers', () => {
  const PLACE = {
    path: '/usr/bin:/bin',
    isHere: true,
    hasAccounts: false,
    log: openLog('test', 'silent'),
  };

  test.for([
    [
      '/nowhere/podman',
      [],
      "'containers' names podman, which does not work: there is no program /nowhere/podman",
    ],
    ['/bin/false', [], "'containers' names podman, which does not work: "],
    ['', ['--no-such-option'], 'unknown flag: --no-such-option'],
  ] as const)('does not start where podman is %s with %j', async ([program, args, words]) => {
    const settings = { runtime: 'podman', program: program || store().podman, args } as const;
    const found = findRuntime(settings, { ...PLACE, spool: site().dir });
    await expect(found).rejects.toMatchObject({
      code: 'TOOL_MISSING',
      message: expect.stringContaining(words),
    });
  });

  test('finds by itself what there is, and nothing on other nodes', async () => {
    const auto = { runtime: 'auto', args: [] } as const;
    const nowhere = { ...PLACE, path: '/nowhere', spool: site().dir };
    expect(await findRuntime(auto, nowhere)).toEqual({
      runtime: undefined,
      trouble: 'podman: there is no program podman; apptainer: there is no program apptainer',
    });
    const here = { ...PLACE, spool: site().dir, hasAccounts: true };
    const podman = { name: 'podman', program: 'podman', args: [] };
    expect(await findRuntime(auto, here)).toEqual({ runtime: podman, trouble: '' });
    const untried = { runtime: undefined, trouble: '' };
    expect(await findRuntime(auto, { ...here, isHere: false })).toEqual(untried);
    expect(await findRuntime({ ...auto, runtime: 'none' }, here)).toEqual(untried);
    const cluster = { ...PLACE, spool: site().dir, isHere: false };
    const believed = { runtime: 'apptainer', program: '/opt/apptainer', args: ['--nv'] } as const;
    expect((await findRuntime(believed, cluster)).runtime).toEqual({
      name: 'apptainer',
      program: '/opt/apptainer',
      args: ['--nv'],
    });
  });

  test('says so, and which images it runs', async () => {
    const stop = new AbortController();
    const stream = site()
      .call()
      .advertise({ epoch: EPOCH, leaseMs: 9_000 }, { signal: stop.signal });
    for await (const { offer } of stream) {
      expect(offer && offerFromWire(offer).containers).toEqual({
        runtime: 'podman',
        images: ['localhost/lab/'],
      });
      break;
    }
    stop.abort();
  });

  test.for([
    ['python:3.12', 'the site has images of localhost/lab/ only'],
    ['tool.sif', 'the site has podman, which runs no .sif files'],
  ] as const)('refuses %s', async ([image, words]) => {
    expect(
      await site().place([{ id: `no-${image.length}`, spec: { command: ['true'], image } }]),
    ).toEqual([
      {
        attemptId: `no-${image.length}`,
        acceptance: Acceptance.ACCEPTANCE_REFUSED,
        reason: 'IMAGE_DENIED',
        detail: `it runs in image ${image}, ${words}`,
      },
    ]);
  });
});
