import { GridError } from '../../core/errors.ts';
import { suggestion } from '../../core/nearest.ts';
import { formatBytes, parseBytes } from '../../core/units.ts';
import type { StoreQuota } from '../../proto/gen/grid/v1/data.ts';
import { openVo } from '../certs/authority-client.ts';
import type { Context } from '../context.ts';
import type { Input } from '../input.ts';
import { table } from '../render.ts';
import { type DatasetClient, openDatasetClient } from './dataset-client.ts';
import { chooseVo } from './staging.ts';

/** As the broker names whoever has no quota of their own. */
const EVERYBODY = '*';

/** `grid data quota`. */
export async function storeQuota(context: Context, input: Input): Promise<number> {
  const owner = ownerOf(input);
  const limit = limitOf(input);
  await using client = await openDatasetClient(context, input);
  const { signal, terminal, json } = context;
  const vo = input.args[0]?.replace(/^\//, '') ?? (await chooseVo(context, client.broker.call));
  if (limit !== undefined) return await setLimit(context, client, { vo, owner }, limit);
  if (owner === EVERYBODY) throw new GridError('USAGE', '--everybody needs --limit');
  const { quotas } = await client.datasets.listStoreQuotas(
    { vo, owner, members: true },
    { signal },
  );
  if (json) terminal.out(JSON.stringify(quotas.map(quotaView)));
  else showQuotas(context, quotas);
  const asked = quotas.find((quota) => quota.owner === owner);
  if (asked !== undefined) await noteIfNobody(context, asked);
  return 0;
}

async function setLimit(
  context: Context,
  { datasets }: DatasetClient,
  whose: { readonly vo: string; readonly owner: string },
  limit: number | 'none',
): Promise<number> {
  const { signal, terminal, json } = context;
  const request = { ...whose, ...(limit === 'none' ? {} : { limitBytes: limit }) };
  const quota = await datasets.setStoreQuota(request, { signal });
  terminal.out(json ? JSON.stringify(quotaView(quota)) : `${whoOf(quota)}: ${quotaText(quota)}`);
  const { usedBytes, limitBytes } = quota;
  if (limitBytes !== undefined && usedBytes > limitBytes)
    terminal.note('what is stored stays; nothing is added until there is room');
  await noteIfNobody(context, quota);
  return 0;
}

/** Says of a name that nothing is stored for whether the VO has a member of that name, where it may have none. */
async function noteIfNobody(context: Context, { vo, owner, usedBytes }: StoreQuota): Promise<void> {
  if (owner === '' || owner === EVERYBODY || usedBytes > 0) return;
  const members = await membersOf(context, vo);
  if (members?.includes(owner) === true) return;
  const found =
    members === undefined
      ? `nothing is stored for ${owner} so far, and the authority does not say whether that is a member`
      : `VO ${vo} has no member ${owner}${suggestion(owner, members)}`;
  context.terminal.note(`${found}\n  -> see \`grid vo members ${vo}\``);
}

const MEMBERS_MS = 5_000;

/** DNs; undefined where the authority does not tell. */
async function membersOf(context: Context, vo: string): Promise<readonly string[] | undefined> {
  const { signal } = context;
  try {
    using authority = await openVo(context);
    const { members } = await authority.call.listMembers(
      { vo },
      { signal, deadlineMs: MEMBERS_MS },
    );
    return members.map(({ dn }) => dn);
  } catch (error) {
    if (error instanceof GridError && !signal.aborted) return undefined;
    throw error;
  }
}

function ownerOf(input: Input): string {
  const user = input.text('user');
  if (user !== undefined && input.on('everybody'))
    throw new GridError('USAGE', 'choose one of --user and --everybody');
  if (user === '' || user === EVERYBODY)
    throw new GridError('USAGE', `--user '${user}' is no DN such as /DC=org/DC=example/CN=Ada`);
  return input.on('everybody') ? EVERYBODY : (user ?? '');
}

function limitOf(input: Input): number | 'none' | undefined {
  const text = input.text('limit');
  if (text === undefined || text === 'none') return text;
  const bytes = parseBytes(text);
  if (bytes === undefined)
    throw new GridError('USAGE', `--limit '${text}' is neither a size such as 500G nor none`);
  return bytes;
}

/** What `--json` shows of a quota; no limit is null. */
export const quotaView = ({ vo, owner, usedBytes, limitBytes }: StoreQuota) => ({
  vo,
  owner,
  usedBytes: owner === EVERYBODY ? null : usedBytes,
  limitBytes: limitBytes ?? null,
});

const whoOf = ({ vo, owner }: StoreQuota): string =>
  owner === '' ? `VO ${vo}` : owner === EVERYBODY ? 'everybody else' : owner;

/** `3 GiB of at most 10 GiB`. */
const quotaText = ({ owner, usedBytes, limitBytes }: StoreQuota): string => {
  const most = limitBytes === undefined ? 'no limit' : `at most ${formatBytes(limitBytes)}`;
  return owner === EVERYBODY ? most : `${formatBytes(usedBytes)} stored, ${most}`;
};

function showQuotas({ terminal, colours }: Context, quotas: readonly StoreQuota[]): void {
  const rows = quotas.map((quota) => [
    whoOf(quota),
    quota.owner === EVERYBODY ? '' : formatBytes(quota.usedBytes),
    quota.limitBytes === undefined ? 'none' : formatBytes(quota.limitBytes),
  ]);
  terminal.out(table(['who', 'stored', 'limit'], rows, colours, terminal.columns));
}

/** Each quota that counts, in a line. */
export const quotaNotes = (quotas: readonly StoreQuota[]): readonly string[] =>
  quotas
    .filter(({ owner }) => owner !== EVERYBODY)
    .map((quota) => `${whoOf(quota)}: ${quotaText(quota)}, with inputs and results of jobs`);
