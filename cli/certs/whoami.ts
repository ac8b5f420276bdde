import { formatDuration } from '../../core/units.ts';
import type { Context } from '../context.ts';
import { facts, instantText } from '../render.ts';

/** What is shown says nothing of what the person is a member of. */
const noAttributes = (proxyDepth: number): string =>
  proxyDepth === 0
    ? 'none: a certificate carries no VO; `grid login` makes a proxy that does'
    : 'none: this proxy carries no VO that counts here; `grid login --vo VO` makes one that does';

/** `grid whoami`. */
export async function showCaller(context: Context): Promise<number> {
  using broker = await context.openBroker();
  const me = await broker.call.whoAmI({}, { signal: context.signal });
  const { terminal, colours } = context;
  const { dn = '', fqans = [] } = me.caller ?? {};
  const { expiresAtMs, vosServed, proxyDepth, isAdmin, rejectedAttributes } = me;
  if (context.json) {
    terminal.out(
      JSON.stringify({
        dn,
        fqans,
        expiresAtMs,
        vosServed,
        proxyDepth,
        isAdmin,
        rejectedAttributes,
      }),
    );
    return 0;
  }
  const leftMs = expiresAtMs - Date.now();
  const left = `in ${formatDuration(leftMs)}`;
  const soon = leftMs < 1_800_000 ? colours.warn(left) : left;
  terminal.out(
    facts(
      [
        ['you', dn],
        ['attributes', fqans.join('\n') || noAttributes(proxyDepth)],
        ['credential', proxyDepth === 0 ? 'certificate' : `proxy (depth ${proxyDepth})`],
        ['ends', `${instantText(expiresAtMs)} (${soon})`],
        ['broker', `${(await context.settings()).broker ?? ''} serves ${vosServed.join(', ')}`],
        ['rights', isAdmin ? 'administrator of this grid' : ''],
        ['rejected', rejectedAttributes.join('\n')],
      ],
      colours,
    ),
  );
  return 0;
}
