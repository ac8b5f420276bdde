import { isDeepStrictEqual } from 'node:util';
import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstreamManager,
  StorageType,
  type StreamInfo,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Log } from '../../service/log.ts';
import { chunkSubjects, STREAM } from '../../service/staging/names.ts';

/** How the chunks of a VO are kept. */
export interface StreamOptions {
  /** Most chunks of one VO, whatever their size; no limit by default. */
  readonly chunksPerVo?: number;
  /** Servers that keep each chunk: 1 by default; more need a cluster. */
  readonly replicas?: number;
  readonly log: Log;
}

/** Makes the stream of a VO, or gives one that is there the settings that it should have. */
export async function keepStream(
  nc: NatsConnection,
  vo: string,
  options: StreamOptions,
): Promise<void> {
  const config = streamConfig(vo, options);
  const known = await knownStream(nc);
  const manager = await jetstreamManager(nc, { checkAPI: false, timeout: 10_000 });
  if (known === undefined) {
    await manager.streams.add({ name: STREAM, storage: StorageType.File, ...config });
    return;
  }
  const wanted = { ...known.config, ...config, max_msgs: limitFor(config.max_msgs, known) };
  if (wanted.max_msgs !== config.max_msgs)
    options.log.warn(
      { vo, chunks: known.state.messages, limit: wanted.max_msgs },
      'the store has about as many chunks as `staging.chunk-quota` allows, or more: the limit is lowered to it at a start of the broker that finds fewer',
    );
  // A broker comes here after each loss of a server, when a cluster had better be left alone.
  if (!isDeepStrictEqual(wanted, known.config)) await manager.streams.update(STREAM, wanted);
}

/** A cluster that has yet to elect its leader does not answer, and the question is lost: it is put again soon. */
async function knownStream(nc: NatsConnection): Promise<StreamInfo | undefined> {
  const manager = await jetstreamManager(nc, { checkAPI: false, timeout: 1_000 });
  try {
    return await manager.streams.info(STREAM);
  } catch (error) {
    const absent = JetStreamApiCodes.StreamNotFound;
    if (error instanceof JetStreamApiError && error.code === absent) return undefined;
    throw error;
  }
}

/**
 * Most chunks that the server is to keep of a store that is there. nats-server 2.9.10 takes out the oldest ones where a limit comes
 * below what it has, so it is lowered no further than that, with some room for what comes meanwhile.
 */
function limitFor(
  wanted: number,
  { config: { max_msgs: before }, state: { messages } }: StreamInfo,
): number {
  const isLowered = wanted !== -1 && (before === -1 || wanted < before);
  if (!isLowered) return wanted;
  const safe = Math.max(wanted, Math.ceil(messages * 1.1));
  return before === -1 ? safe : Math.min(before, safe);
}

/** One message per subject, and a second one is refused by the server: a chunk is written once. */
const streamConfig = (vo: string, { replicas = 1, chunksPerVo = -1 }: StreamOptions) => ({
  subjects: [chunkSubjects(vo)],
  num_replicas: replicas,
  max_msgs: chunksPerVo,
  max_msgs_per_subject: 1,
  discard: DiscardPolicy.New,
  discard_new_per_subject: true,
  allow_direct: true,
  deny_delete: false,
  allow_rollup_hdrs: false,
});
