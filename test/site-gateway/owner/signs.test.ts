import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openLog } from '../../../service/log.ts';
import { openProcessTable, type ProcessInfo } from '../../../site-gateway/lrms/process-tree.ts';
import { isOnBattery } from '../../../site-gateway/owner/battery.ts';
import {
  inputDevices,
  interruptsOf,
  watchInput,
} from '../../../site-gateway/owner/input-devices.ts';
import { machineCpu } from '../../../site-gateway/owner/others-load.ts';
import { openSignReader } from '../../../site-gateway/owner/owner-signs.ts';
import { desktopUse } from '../../../site-gateway/owner/sessions.ts';
import {
  MAX_FILES,
  terminalsOfTasks,
  watchTerminals,
} from '../../../site-gateway/owner/terminals.ts';
import { openTerminal } from '../../support/terminal.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hanse-owner-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function put(path: string, text: string): string {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

/** Files that this process has open, each as often as is asked for. */
function openFiles(): Disposable & { open(file: string, times: number): readonly number[] } {
  const opened: number[] = [];
  return {
    open: (file, times) => {
      const fds = Array.from({ length: times }, () => openSync(file, 'r+'));
      opened.push(...fds);
      return fds;
    },
    [Symbol.dispose]: () => opened.forEach(closeSync),
  };
}

const numberOf = (master: number): string =>
  /^tty-index:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${master}`, 'utf8'))?.[1] ?? '';

/** As if this process were the only task. */
function taskIsThis(): ReturnType<typeof terminalsOfTasks> {
  const processes = openProcessTable()();
  const own = processes.filter(({ pid }) => pid === process.pid);
  return terminalsOfTasks(processes, new Map(own.map((one) => [one.pid, one])));
}

/** How often this thread has read something, by the kernel's count. */
const readsOfThread = (): number =>
  Number(/^syscr: (\d+)$/m.exec(readFileSync('/proc/thread-self/io', 'utf8'))?.[1]);

describe('terminals', () => {
  test('those that were used since the last look count, by when they were read, and nothing else below /dev', () => {
    const at = (path: string, seconds: number): void => utimesSync(put(path, ''), seconds, 9_000);
    at('dev/tty1', 1_000);
    at('dev/ttyS0', 1_500);
    at('dev/pts/3', 2_000);
    at('dev/pts/ptmx', 5_000);
    at('dev/tty', 6_000);
    at('dev/null', 7_000);
    const terminals = watchTerminals(root);
    expect(terminals().map(({ usedAtMs }) => usedAtMs)).toEqual([1_000_000, 1_500_000, 2_000_000]);
    expect(terminals()).toEqual([]);
    at('dev/ttyS0', 1_800);
    expect(terminals()).toMatchObject([{ file: join(root, 'dev/ttyS0'), usedAtMs: 1_800_000 }]);
  });

  test('a machine without any tells nothing', () => {
    expect(watchTerminals(root)()).toEqual([]);
  });

  test('one is of tasks while they have it among themselves', async () => {
    using real = await openTerminal();
    const processes = openProcessTable()();
    const terminal = watchTerminals('/')().find(({ file }) => file === `/dev/pts/${real.name}`);
    const of = (tasks: readonly ProcessInfo[]): boolean | undefined =>
      terminal &&
      terminalsOfTasks(processes, new Map(tasks.map((one) => [one.pid, one])))(terminal);
    const inside = processes.filter((one) => one.terminal === terminal?.device);
    const window = processes.filter(({ pid }) => pid === inside[0]?.ppid);
    expect(window.map(({ name }) => name)).toEqual(['script']);
    expect(of([...window, ...inside])).toBe(true);
    // Where a task got hold of the other end, what runs there is still its owner's.
    expect(of(window)).toBe(false);
    expect(of([])).toBe(false);
  });

  test('however many a task opens, its files are looked at once', () => {
    using files = openFiles();
    const numbers = files.open('/dev/ptmx', 300).map(numberOf);
    const isOfTasks = taskIsThis();
    const terminals = watchTerminals('/')();
    const before = readsOfThread();
    const ofTasks = terminals.filter(isOfTasks).map(({ file }) => file);
    expect(readsOfThread() - before).toBeLessThan(10 * numbers.length);
    expect(ofTasks).toEqual(expect.arrayContaining(numbers.map((one) => `/dev/pts/${one}`)));
  });

  test('behind more files than there is time for, one is taken for that of people', () => {
    using files = openFiles();
    const first = files.open('/dev/ptmx', 1).map(numberOf);
    files.open('/dev/null', MAX_FILES);
    const last = files.open('/dev/ptmx', 1).map(numberOf);
    const isOfTasks = taskIsThis();
    const found = watchTerminals('/')().filter(isOfTasks);
    const has = ([number]: readonly string[]): boolean =>
      found.some(({ file }) => file === `/dev/pts/${number}`);
    expect([has(first), has(last)]).toEqual([true, false]);
  });
});

test('a sign ahead of the clock counts as of now, and once: it does not keep a machine in use', () => {
  let nowMs = 5_000_000;
  const clock = { nowMs: () => nowMs, monotonicMs: () => 0 };
  const typed = (seconds: number): void => utimesSync(put('dev/pts/1', ''), seconds, 0);
  put('proc/bus/input/devices', DEVICES);
  typed(9_000);
  using signs = openSignReader({ root, spool: root }, { clock, log: openLog('test', 'silent') });
  const look = (atMs: number): readonly (number | undefined)[] => {
    nowMs = atMs;
    const { usedAtMs, watchedSinceMs } = signs.look();
    return [usedAtMs, watchedSinceMs];
  };
  expect(look(5_000_000)).toEqual([5_000_000, 5_000_000]);
  expect(look(5_900_000)).toEqual([5_000_000, 5_000_000]);
  // The clock is set back, and somebody types afterwards.
  expect(look(1_000_000)).toEqual([1_000_000, 1_000_000]);
  expect(look(1_300_000)).toEqual([1_000_000, 1_000_000]);
  typed(1_350);
  expect(look(1_360_000)).toEqual([1_350_000, 1_000_000]);
});

describe('batteries', () => {
  const supply = (name: string, files: Readonly<Record<string, string>>): void => {
    for (const [file, text] of Object.entries(files))
      put(`sys/class/power_supply/${name}/${file}`, `${text}\n`);
  };

  test('a battery that is being used up without mains', () => {
    supply('BAT0', { type: 'Battery', status: 'Discharging', scope: 'System' });
    supply('AC', { type: 'Mains', online: '0' });
    expect(isOnBattery(root)).toBe(true);
    supply('AC', { type: 'Mains', online: '1' });
    expect(isOnBattery(root)).toBe(false);
  });

  test('that of a mouse does not count, nor one that is full', () => {
    supply('hidpp_battery_0', { type: 'Battery', status: 'Discharging', scope: 'Device' });
    supply('BAT0', { type: 'Battery', status: 'Full' });
    expect(isOnBattery(root)).toBe(false);
  });

  test('a machine without any is at mains', () => {
    expect(isOnBattery(root)).toBe(false);
  });
});

const DEVICES = `I: Bus=0019 Vendor=0000 Product=0001 Version=0000
N: Name="Power Button"
P: Phys=PNP0C0C/button/input0
H: Handlers=kbd event0

I: Bus=0011 Vendor=0001 Product=0001 Version=ab41
N: Name="AT Translated Set 2 keyboard"
P: Phys=isa0060/serio0/input0
H: Handlers=sysrq kbd event1 leds

I: Bus=0003 Vendor=046d Product=c077 Version=0111
N: Name="Logitech USB Optical Mouse"
P: Phys=usb-0000:00:14.0-1/input0
H: Handlers=mouse0 event2

I: Bus=0018 Vendor=04f3 Product=0000 Version=0100
N: Name="ELAN0501:00 04F3:3060 Touchpad"
P: Phys=i2c-ELAN0501:00
H: Handlers=mouse1 event3

I: Bus=0000 Vendor=0000 Product=0000 Version=0000
N: Name="HDA Intel PCH Headphone"
P: Phys=ALSA
H: Handlers=event4

`;
const INTERRUPTS = `           CPU0       CPU1
   1:          9         30   IO-APIC   1-edge      i8042
   9:          0        700   IO-APIC   9-fasteoi   acpi
  12:        100          0   IO-APIC  12-edge      i8042
  77:          5          0   IO-APIC  77-fasteoi   ELAN0501:00
 126:       1000       2000   PCI-MSI 327680-edge      xhci_hcd
 127:          7          0   PCI-MSI 360448-edge      nvme0q0, ahci
 NMI:          1          1   Non-maskable interrupts
`;

describe('keyboards and mice', () => {
  test('loudspeakers are not of them', () => {
    expect(inputDevices(DEVICES).map(({ event }) => event)).toEqual([
      ...['event0', 'event1', 'event2', 'event3'],
    ]);
  });

  test.each([
    ['isa0060/serio0/input0', 139],
    ['usb-0000:00:14.0-1/input0', 3_000],
    ['i2c-ELAN0501:00', 5],
    ['PNP0C0C/button/input0', 0],
  ])('%s has interrupted %i times', (phys, count) => {
    expect(interruptsOf([{ event: 'event1', phys }], INTERRUPTS)).toBe(count);
  });

  test('where devices may not be read, their interrupts tell', () => {
    put('proc/bus/input/devices', DEVICES);
    put('proc/interrupts', INTERRUPTS);
    using input = watchInput(root);
    expect([input.isWatching(), input.look()]).toEqual([true, false]);
    put('proc/interrupts', INTERRUPTS.replace('100', '101'));
    expect([input.look(), input.look()]).toEqual([true, false]);
    put('proc/interrupts', INTERRUPTS.replace('700', '701').replace('100', '101'));
    expect(input.look()).toBe(false);
  });

  test('where they may, their events tell, and their interrupts do not matter', () => {
    const blocks = DEVICES.split('\n\n').slice(2, 3);
    put('proc/bus/input/devices', `${blocks.join('\n\n')}\n\n`);
    put('proc/interrupts', INTERRUPTS);
    mkdirSync(join(root, 'dev/input'), { recursive: true });
    // A pipe is read as a device is: what has come, or nothing yet.
    const device = join(root, 'dev/input/event2');
    execFileSync('mkfifo', [device]);
    const keys = openSync(device, 'r+');
    using input = watchInput(root);
    put('proc/interrupts', INTERRUPTS.replace('1000', '1001'));
    expect([input.isWatching(), input.look()]).toEqual([true, false]);
    writeSync(keys, Buffer.alloc(24 * 400));
    expect([input.look(), input.look()]).toEqual([true, false]);
    closeSync(keys);
  });

  test('a machine without any has none to watch', () => {
    using input = watchInput(root);
    expect([input.isWatching(), input.look()]).toEqual([false, false]);
  });
});

describe('desktops', () => {
  const NOW = 1_700_000_000_000;
  const session = (type: string, idle: string, sinceMs: number, kind = 'user'): string =>
    `Type=${type}\nClass=${kind}\nIdleHint=${idle}\nIdleSinceHint=${sinceMs * 1_000}\n`;

  test.each([
    ['whose user is there', session('wayland', 'no', NOW - 600_000), NOW],
    ['whose user went away', session('x11', 'yes', NOW - 600_000), NOW - 600_000],
    [
      'whose user went away before the clock was set back',
      session('x11', 'yes', NOW + 5),
      undefined,
    ],
    ['that has never said anything', session('x11', 'no', 0), undefined],
    ['of nobody but the login screen', session('wayland', 'no', NOW - 5, 'greeter'), undefined],
    ['that is a terminal, which is looked at itself', session('tty', 'no', NOW - 5), undefined],
    ['of which there is none', '', undefined],
  ])('one %s', (_, text, expected) => {
    expect(desktopUse(text, NOW)).toBe(expected);
  });

  test('of two the one that was used last counts', () => {
    const two = [session('x11', 'yes', NOW - 9_000), session('wayland', 'yes', NOW - 4_000)];
    expect(desktopUse(two.join('\n'), NOW)).toBe(NOW - 4_000);
  });
});

test('the CPU time of a machine leaves out what was idle or waited for disks', () => {
  const stat =
    'cpu  100 20 30 5000 600 1 2 0 7 0\ncpu0 50 10 15 2500 300 1 1 0 0 0\ncpu1 50 10 15 2500 300 0 1 0 0 0\nintr 5\n';
  expect(machineCpu(stat)).toEqual({ cpuMs: 1_530, cores: 2 });
  expect(machineCpu('')).toBeUndefined();
});
