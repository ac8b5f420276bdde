import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GridError } from '../../core/errors.ts';

/** Where everything of a grid on one machine stands, below one directory. */
export interface Layout {
  readonly dir: string;
  readonly authority: string;
  readonly trust: string;
  readonly vomsdir: string;
  readonly nats: string;
  readonly broker: string;
  readonly logs: string;
  /** HANSE_HOME of the user that was made with the grid. */
  readonly user: string;
  readonly state: string;
  readonly running: string;
  site(name: string): string;
  /** Directory of a nats-server of a cluster. */
  natsServer(name: string): string;
}

export const layoutOf = (dir: string): Layout => ({
  dir,
  authority: join(dir, 'authority'),
  trust: join(dir, 'trust'),
  vomsdir: join(dir, 'vomsdir'),
  nats: join(dir, 'nats'),
  broker: join(dir, 'broker'),
  logs: join(dir, 'logs'),
  user: join(dir, 'user'),
  state: join(dir, 'grid.json'),
  running: join(dir, 'running.json'),
  site: (name) => join(dir, 'sites', name),
  natsServer: (name) => join(dir, 'nats', name),
});

/** What a grid on one machine is made of; chosen when it is made, kept in `grid.json`. */
export interface GridPlan {
  readonly version: 1;
  readonly vo: string;
  readonly userDn: string;
  readonly brokerDn: string;
  readonly ports: { readonly nats: number; readonly authority: number; readonly broker: number };
  readonly sites: readonly SitePlan[];
  /** The servers of a cluster, of which the first has the port of `ports.nats`; absent where there is one server. */
  readonly natsCluster?: readonly NatsPlan[];
  /** Where the leaf node of the first site serves; there is one where there is a cluster. */
  readonly leafPort?: number;
}

/** A nats-server of a cluster. */
export interface NatsPlan {
  readonly name: string;
  readonly port: number;
  /** For the other servers. */
  readonly routePort: number;
  /** For the leaf node. */
  readonly leafPort: number;
}

export interface SitePlan {
  readonly name: string;
  readonly port: number;
  readonly dn: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  /** Further settings of its configuration, by name; they go before what is written by itself. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** The processes of a running grid, kept in `running.json`. */
export interface RunningGrid {
  /** Process that started it and ends with it; absent when it was detached. */
  readonly attachedTo?: number;
  readonly programs: readonly { readonly name: string; readonly pid: number }[];
}

/** Reads a grid's plan; undefined where no grid was made yet. */
export function readPlan(layout: Layout): GridPlan | undefined {
  return readJson(layout.state) as GridPlan | undefined;
}

export function readRunning(layout: Layout): RunningGrid | undefined {
  return readJson(layout.running) as RunningGrid | undefined;
}

function readJson(file: string): unknown {
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new GridError('CONFIG_INVALID', `${file} is no JSON`, { cause: error });
  }
}
