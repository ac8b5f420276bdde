import type { Context } from '../context.ts';
import { argument, type Input } from '../input.ts';
import { table } from '../render.ts';
import { openVo } from './authority-client.ts';

/** `grid vo create`. */
export async function createVo(context: Context, input: Input): Promise<number> {
  using authority = await openVo(context);
  const vo = argument(input, 0);
  const made = await authority.call.createVo({ vo }, { signal: context.signal });
  if (context.json) context.terminal.out(JSON.stringify(made));
  else context.terminal.out(`made the VO ${made.vo}; its signer is ${made.lsc.split('\n')[0]}`);
  context.terminal.note(
    `you are its manager: \`grid vo add ${vo} DN\`, then \`grid login --vo ${vo}\``,
  );
  return 0;
}

/** `grid vo ls`. */
export async function listVos(context: Context): Promise<number> {
  using authority = await openVo(context);
  const { vos } = await authority.call.listVos({}, { signal: context.signal });
  if (context.json) {
    context.terminal.out(JSON.stringify(vos));
    return 0;
  }
  const rows = vos.map(({ vo, members, fqans }) => [vo, String(members), fqans.join(' ') || '-']);
  context.terminal.out(
    table(['vo', 'members', 'you'], rows, context.colours, context.terminal.columns),
  );
  return 0;
}

/** `grid vo members`. */
export async function listMembers(context: Context, input: Input): Promise<number> {
  using authority = await openVo(context);
  const request = { vo: argument(input, 0) };
  const { members } = await authority.call.listMembers(request, { signal: context.signal });
  if (context.json) {
    context.terminal.out(JSON.stringify(members));
    return 0;
  }
  const rows = members.map(({ dn, fqans }) => [dn, fqans.join(' ')]);
  context.terminal.out(table(['member', 'fqans'], rows, context.colours, context.terminal.columns));
  return 0;
}

/** `grid vo add`. */
export async function addMember(context: Context, input: Input): Promise<number> {
  using authority = await openVo(context);
  const request = {
    vo: argument(input, 0),
    dn: argument(input, 1),
    fqans: [...input.list('fqan')],
  };
  const { member } = await authority.call.addMember(request, { signal: context.signal });
  if (context.json) context.terminal.out(JSON.stringify(member));
  else context.terminal.out(`${request.dn}: ${member?.fqans.join(' ') ?? ''}`);
  return 0;
}

/** `grid vo remove`. */
export async function removeMember(context: Context, input: Input): Promise<number> {
  using authority = await openVo(context);
  const request = { vo: argument(input, 0), dn: argument(input, 1) };
  await authority.call.removeMember(request, { signal: context.signal });
  if (context.json) context.terminal.out(JSON.stringify({ ...request, removed: true }));
  else context.terminal.out(`${request.dn} is no member of ${request.vo} any more`);
  return 0;
}
