import { type DatasetRef, formatDataset, parseDataset } from '../../core/data/dataset.ts';
import type { TreeRef } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import type { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import type { Dataset, DatasetsService } from '../../proto/gen/grid/v1/data.ts';
import type { Connection } from '../../service/rpc/grpc-client.ts';
import { treeFromWire } from '../../service/rpc/wire.ts';
import { digestsIn } from '../../service/staging/chunk-store.ts';
import { type Context, connectService } from '../context.ts';
import type { Input } from '../input.ts';
import { chooseVo, openUserStaging, type UserStaging } from './staging.ts';

/** The broker's two services, and the way to the chunks. */
export interface DatasetClient extends AsyncDisposable {
  readonly broker: Connection<BrokerService>;
  readonly datasets: Connection<DatasetsService>['call'];
  /** What a name on the command line means; the VO is `--vo`, or the caller's only one. */
  refOf(text: string): Promise<DatasetRef>;
  /** The version that a name means. */
  find(ref: DatasetRef): Promise<FoundDataset>;
  store(vo: string): Promise<UserStaging>;
  /** Has chunks looked at that were missing or spoiled: these are taken out, and whoever puts their files again is asked for both. */
  heal(vo: string, digests: readonly string[]): Promise<void>;
}

const MOST_HEALED = 1_000;

/** A version of a dataset as the broker told it, with its full name. */
interface FoundDataset {
  readonly name: string;
  readonly dataset: Dataset;
  readonly tree: TreeRef;
}

/** Opens both services for one command. */
export async function openDatasetClient(context: Context, input: Input): Promise<DatasetClient> {
  const { signal } = context;
  await using stack = new AsyncDisposableStack();
  const broker = stack.use(await context.openBroker());
  const { DatasetsService } = await import('../../proto/gen/grid/v1/data.ts');
  const connection = stack.use(
    await connectService(DatasetsService, await context.settings(), context.env),
  );
  const stores = new Map<string, UserStaging>();
  const owned = stack.move();
  return {
    broker,
    datasets: connection.call,
    refOf: async (text) => {
      const named = text.startsWith('/') || text.startsWith('grid:');
      const vo = named ? '' : (input.text('vo') ?? (await chooseVo(context, broker.call)));
      const parsed = parseDataset(text, vo);
      if (!parsed.ok) throw new GridError('USAGE', parsed.message);
      return parsed.ref;
    },
    find: async ({ vo, name, version = 0 }) => {
      const { dataset } = await connection.call.getDataset({ vo, name, version }, { signal });
      if (dataset === undefined)
        throw new GridError('DATASET_NOT_FOUND', `there is no dataset /${vo}/${name}`);
      return { name: nameOf(dataset), dataset, tree: treeFromWire(dataset.tree) };
    },
    store: async (vo) => {
      const known = stores.get(vo);
      if (known !== undefined) return known;
      const store = owned.use(await openUserStaging(context, broker.call, vo));
      stores.set(vo, store);
      return store;
    },
    heal: async (vo, digests) => {
      for (let at = 0; at < digests.length; at += MOST_HEALED) {
        const some = digests
          .slice(at, at + MOST_HEALED)
          .map((digest) => Buffer.from(digest, 'hex'));
        await connection.call.healChunks({ vo, digests: some }, { signal });
      }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Throws `error`, after the chunk that it names has been looked at. */
export async function afterHealing(
  client: DatasetClient,
  vo: string,
  error: unknown,
): Promise<never> {
  const isLost =
    error instanceof GridError && ['CHUNK_CORRUPT', 'CHUNK_MISSING'].includes(error.code);
  // What went wrong first is what is told.
  if (isLost) await client.heal(vo, digestsIn(error.message)).catch(() => undefined);
  throw error;
}

/** `/biomed/hg38@v3`. */
export const nameOf = ({ vo, name, version }: Dataset): string =>
  formatDataset({ vo: vo as DatasetRef['vo'], name, version });

/** What `--json` shows of a dataset. */
export const datasetView = (dataset: Dataset) => {
  const { tree, ...rest } = dataset;
  const { digest, totalBytes, files } = treeFromWire(tree);
  return { ...rest, id: nameOf(dataset), digest, totalBytes, files };
};
