import { expect, test } from 'vitest';
import {
  formatFetchRules,
  parseFetchRule,
  ruleFor,
  unfetchedHost,
} from '../../../core/data/fetch-rules.ts';

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

test('of the hosts of a job the first that no rule takes is named, and the rules as they were written', () => {
  const some = rules('*.example.org', 's3.example.net:9000', '[::1]:8443');
  expect(
    unfetchedHost(['data.example.org', 's3.example.net:9000', '[::1]:8443'], some),
  ).toBeUndefined();
  expect(unfetchedHost(['data.example.org:444'], some)).toBe('data.example.org:444');
  expect(unfetchedHost(['s3.example.net'], some)).toBe('s3.example.net');
  expect(unfetchedHost([], [])).toBeUndefined();
  expect(formatFetchRules(some)).toBe('*.example.org, s3.example.net:9000, [::1]:8443');
  expect(formatFetchRules([])).toBe('no host');
  expect(formatFetchRules(rules('*'))).toBe('*:443');
  expect(formatFetchRules(rules('a', 'b', 'c', 'd', 'e', 'f', 'g'))).toBe(
    'a, b, c, d, e and 2 more',
  );
});
