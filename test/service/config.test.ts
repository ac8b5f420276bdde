import { expect, test } from 'vitest';
import * as z from 'zod';
import { BROKER_CONFIG } from '../../broker/config.ts';
import { AUTHORITY_CONFIG } from '../../cert-authority/config.ts';
import { SITE_CONFIG } from '../../site-gateway/config.ts';

/** The section, or what a list has, below defaults and the like. */
function bare(schema: z.core.$ZodType): z.core.$ZodType {
  const { def } = schema as z.ZodType;
  if (def.type === 'array') return bare((def as z.core.$ZodArrayDef).element);
  return 'innerType' in def ? bare(def.innerType as z.core.$ZodType) : schema;
}

const sections = [SITE_CONFIG, BROKER_CONFIG, AUTHORITY_CONFIG].flatMap((config) =>
  Object.entries<z.core.$ZodType>(config.shape).flatMap(([name, schema]) => {
    const section = bare(schema);
    return section instanceof z.ZodObject ? [[name, section] as const] : [];
  }),
);

test('there are sections', () => {
  expect(sections.map(([name]) => name)).toEqual(
    expect.arrayContaining(['slurm', 'staging', 'data-paths']),
  );
});

test.each(sections)('a setting that %s does not have is refused', (_, section) => {
  const { error } = section.safeParse({ nonsense: 1 });
  expect(error?.issues).toContainEqual(
    expect.objectContaining({ code: 'unrecognized_keys', keys: ['nonsense'] }),
  );
});
