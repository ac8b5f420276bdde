import { expect, test } from 'vitest';
import { parseModuleList } from '../../site-gateway/software/find-modules.ts';

test('the listings of Environment Modules and of Lmod hold names between headings and marks', () => {
  const modules = '/usr/share/modules/modulefiles:\ndot\ngcc/12\ngcc/13(default)\ncc(@)\n';
  expect(parseModuleList(modules)).toEqual(['dot', 'gcc/12', 'gcc/13', 'cc']);
  const lmod = '/opt/apps/Core:\ngcc/\ngcc/12\ngcc/13\n\nbio/samtools/1.19\n';
  expect(parseModuleList(lmod)).toEqual(['gcc/12', 'gcc/13', 'bio/samtools/1.19']);
});

test('what no job could write is left out, such as what an administrator says in between', () => {
  const text = 'Welcome to the cluster!\n  R/4.3  \n-rf\n$(id)\n------ /opt ------\n';
  expect(parseModuleList(text)).toEqual(['R/4.3']);
});
