import { describe, expect, test } from 'vitest';
import { SandboxError } from '../sandboxError.ts';
import { isAllowed, parseHostRule, placeOf } from './hostRule.ts';

const allows = (rule: string, url: string): boolean => {
  const place = placeOf(new URL(url));
  return place !== undefined && isAllowed(place, [parseHostRule(rule)]);
};

describe('host rules', () => {
  test.each([
    ['api.example.com', 'https://api.example.com/x?y'],
    ['api.example.com', 'https://API.example.com:443/'],
    ['api.example.com', 'https://api.example.com./'],
    ['API.Example.com', 'https://api.example.com/'],
    ['api.example.com:8443', 'https://api.example.com:8443/'],
    ['http://api.example.com', 'http://api.example.com/'],
    ['http://api.example.com:8080', 'http://api.example.com:8080/'],
    ['bücher.example', 'https://xn--bcher-kva.example/'],
    ['93.184.216.34', 'https://93.184.216.34/'],
    ['[2606:4700::1111]', 'https://[2606:4700:0:0::1111]/'],
  ])('"%s" allows %s', (rule, url) => {
    expect(allows(rule, url)).toBe(true);
  });

  test.each([
    ['api.example.com', 'http://api.example.com/'],
    ['api.example.com', 'https://example.com/'],
    ['api.example.com', 'https://x.api.example.com/'],
    ['api.example.com', 'https://api.example.com.evil.example/'],
    ['api.example.com', 'https://api.example.com:8443/'],
    ['api.example.com', 'https://api.example.com@evil.example/'],
    ['api.example.com', 'https://user:pass@api.example.com/'],
    ['api.example.com', 'https://evil.example/#api.example.com'],
    ['api.example.com', 'wss://api.example.com/'],
    ['api.example.com', 'ftp://api.example.com/'],
    ['api.example.com:8443', 'https://api.example.com/'],
    ['http://api.example.com', 'https://api.example.com/'],
    ['http://api.example.com:8080', 'http://api.example.com/'],
    ['api.example.com', 'https://apiXexample.com/'],
  ])('"%s" does not allow %s', (rule, url) => {
    expect(allows(rule, url)).toBe(false);
  });

  test.each([
    '',
    ' ',
    'https://a.example',
    'a.example/',
    'a.example/path',
    'a b.example',
    '*',
    '*.example',
    'a.example:',
    'a.example:0x1',
    'a.example:99999',
    'http://',
    'http://a@b',
    'user@a.example',
    'a.example?x',
    'a.example#x',
    'a:b:c',
    '[::1',
    'ftp://a',
    'unix:/x',
    'a.example\n',
  ])('refuses "%s" as a rule', (rule) => {
    expect(() => parseHostRule(rule)).toThrow(SandboxError);
  });
});
