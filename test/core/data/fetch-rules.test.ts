import { expect, test } from 'vitest';
import { parseFetchRule, ruleFor } from '../../../core/data/fetch-rules.ts';

const rules = (...texts: readonly string[]) => texts.flatMap((text) => parseFetchRule(text) ?? []);
const word = (url: string, ...texts: readonly string[]) => ruleFor(rules(...texts), new URL(url));

test('a rule is a host, a domain or all hosts, on the port of https or another one', () => {
  expect(word('https://data.example.org/x', 'data.example.org')).toBe('named');
  expect(word('https://DATA.example.org:443/x', 'Data.Example.org')).toBe('named');
  expect(word('https://a.b.example.org/', '*.example.org')).toBe('public');
  expect(word('https://example.org/', '*.example.org')).toBeUndefined();
  expect(word('https://badexample.org/', '*.example.org')).toBeUndefined();
  expect(word('https://anywhere.net/', '*')).toBe('public');
  expect(word('https://anywhere.net:8443/', '*')).toBeUndefined();
  expect(word('https://anywhere.net:8443/', '*:8443')).toBe('public');
  expect(word('https://10.0.0.7:9000/', '*', '10.0.0.7:9000')).toBe('named');
  expect(word('https://[::1]/', '[::1]')).toBe('named');
  expect(word('https://example.org/')).toBeUndefined();
});

test.for(['', 'https://a.org', 'a.org/path', 'a.*.org', 'a.org:0', 'a.org:70000', '**', 'a b'])(
  '%j is no rule',
  (text) => expect(parseFetchRule(text)).toBeUndefined(),
);
