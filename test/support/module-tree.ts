import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { needs } from '../setup/needs.ts';

/** Real Environment Modules with files of their own: `tool/1` (the default), `tool/2`, and two that cannot be loaded. */
export interface ModuleTree extends Disposable {
  /** What sh sources; it says `noise` on standard output. */
  readonly init: string;
}

export function makeModuleTree(): ModuleTree {
  needs('modulecmd', 'environment-modules');
  // A task in namespaces has a /tmp of its own.
  const dir = mkdtempSync('/var/tmp/hanse-modules-');
  const files = {
    'tool/1': `prepend-path PATH ${dir}/tool-1`,
    'tool/2': `prepend-path PATH ${dir}/tool-2`,
    'tool/.version': 'set ModulesVersion 1',
    'needs-other/3': 'prereq no-such-module',
    'broken/1': 'error "it is broken"\nbreak',
  };
  for (const [name, text] of Object.entries(files)) {
    const file = join(dir, 'files', name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `#%Module1.0\n${text}\n`);
  }
  for (const version of ['1', '2']) {
    mkdirSync(join(dir, `tool-${version}`));
    const text = `#!/bin/sh\necho "tool ${version}: $*"\n`;
    writeFileSync(join(dir, `tool-${version}/tool`), text, { mode: 0o755 });
  }
  const init = join(dir, 'init.sh');
  writeFileSync(init, `. /usr/share/modules/init/sh\nmodule use ${dir}/files\necho noise\n`);
  return { init, [Symbol.dispose]: () => rmSync(dir, { recursive: true }) };
}
