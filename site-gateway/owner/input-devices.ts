import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../service/staging/file-errors.ts';

/** Something that people put their hands on. */
export interface InputDevice {
  /** Name below /dev/input, such as `event3`. */
  readonly event: string;
  /** Where it is plugged in, such as `isa0060/serio0/input0` or `usb-0000:00:14.0-1/input0`. */
  readonly phys: string;
}

/** Keyboards, mice and the like out of /proc/bus/input/devices. Loudspeakers, lids and sensors are left out. */
export function inputDevices(text: string): readonly InputDevice[] {
  return text.split('\n\n').flatMap((block) => {
    const handlers = /^H: Handlers=(.*)$/m.exec(block)?.[1]?.split(' ') ?? [];
    const event = handlers.find((name) => /^event\d+$/.test(name));
    const isForHands = handlers.some((name) => /^(?:kbd|mouse\d+)$/.test(name));
    const phys = /^P: Phys=(.*)$/m.exec(block)?.[1] ?? '';
    return isForHands && event !== undefined ? [{ event, phys }] : [];
  });
}

/**
 * How often the devices have interrupted the machine, out of /proc/interrupts. Those at USB are known by their controller
 * only, which disks and sound may share.
 */
export function interruptsOf(devices: readonly InputDevice[], text: string): number {
  const names = new Set(devices.flatMap(({ phys }) => interruptNames(phys)));
  return text
    .split('\n')
    .filter((line) => line.split(/[\s,]+/).some((word) => names.has(word.replace(/:usb\d+$/, ''))))
    .flatMap((line) => /^\s*\d+:((?:\s+\d+)+)\s/.exec(line)?.[1]?.trim().split(/\s+/) ?? [])
    .reduce((sum, count) => sum + Number(count), 0);
}

const USB = ['xhci_hcd', 'ehci_hcd', 'ohci_hcd', 'uhci_hcd'];

/** None for what has none of its own, such as power buttons. */
function interruptNames(phys: string): readonly string[] {
  if (phys.startsWith('isa')) return ['i8042'];
  if (phys.startsWith('usb-')) return USB;
  return /^i2c-(.+)$/.exec(phys)?.slice(1) ?? [];
}

/** Watches whether anything is done with the devices; never what. */
export interface InputWatch extends Disposable {
  /** Whether anything was done since the last look. */
  look(): boolean;
  /** Whether there are devices at all: they do not tell of what was before the first look. */
  isWatching(): boolean;
}

/** By the devices' own events where this account may read them, else by their interrupts. */
export function watchInput(root: string): InputWatch {
  const open = new Map<string, number>();
  let counted: number | undefined;
  let devices: readonly InputDevice[] = [];
  const close = (event: string): void => {
    const fd = open.get(event);
    open.delete(event);
    if (fd !== undefined) closeSync(fd);
  };
  const look = (): boolean => {
    devices = inputDevices(textOf(join(root, 'proc/bus/input/devices')));
    const there = new Set(devices.map(({ event }) => event));
    for (const event of open.keys()) if (!there.has(event)) close(event);
    for (const event of there) if (!open.has(event)) openDevice(root, event, open);
    const read = [...open].map(([event, fd]) => hasEvents(fd) ?? close(event));
    const count = interruptsOf(
      devices.filter(({ event }) => !open.has(event)),
      textOf(join(root, 'proc/interrupts')),
    );
    const hasInterrupted = counted !== undefined && count > counted;
    counted = count;
    return hasInterrupted || read.includes(true);
  };
  look();
  return {
    look,
    isWatching: () => devices.length > 0,
    [Symbol.dispose]: () => {
      for (const event of open.keys()) close(event);
    },
  };
}

function openDevice(root: string, event: string, open: Map<string, number>): void {
  try {
    const flags = constants.O_RDONLY | constants.O_NONBLOCK;
    open.set(event, openSync(join(root, 'dev/input', event), flags));
  } catch {
    // Root's and that of the group `input` alone, as a rule.
  }
}

const EVENTS = Buffer.alloc(4_096);

/** Takes what has come and forgets it; undefined where the device is gone. */
function hasEvents(fd: number): boolean | undefined {
  let found = false;
  try {
    while (readSync(fd, EVENTS) > 0) found = true;
  } catch (error) {
    if (errnoOf(error) !== 'EAGAIN') return undefined;
  } finally {
    EVENTS.fill(0);
  }
  return found;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
