import { readFileSync } from 'node:fs';
import { appCallDigest, appRequestHash, parseSignedAppCall, signedAppCallText } from '@cloister/core';
import { fromHex, keccak256, toHex, utf8 } from '@cloister/crypto';
import { encodeAbiParameters, hashTypedData, keccak256 as otherKeccak } from 'viem';
import { describe, expect, test } from 'vitest';

const text = readFileSync(new URL('../../../vectors/committee.json', import.meta.url), 'utf8');
const { domain, appCall } = JSON.parse(text);
const request = { method: 'POST', path: '/x', headers: [['a', 'b']] as [string, string][], body: utf8('body') };

describe('who calls', () => {
  test('vectors/committee.json: digest and text of a statement, and the hash of a request', () => {
    const signed = { ...appCall.statement, notAfter: BigInt(appCall.statement.notAfter) };
    const { signature: _, ...statement } = signed;
    expect(appCallDigest(domain, statement)).toBe(appCall.digest);
    const fields =
      'bytes32 caller,bytes32 callerManifest,bytes32 callee,address receiver,bytes32 call,bytes32 request,uint64 notAfter';
    const AppCall = fields.split(',').map((field) => {
      const [type = '', name = ''] = field.split(' ');
      return { type, name };
    });
    const eip712 = { name: 'Cloister', version: '1', chainId: domain.chainId, verifyingContract: domain.registry };
    expect(hashTypedData({ domain: eip712, types: { AppCall }, primaryType: 'AppCall', message: statement })).toBe(
      appCall.digest,
    );
    expect(signedAppCallText(signed)).toBe(appCall.text);
    expect(parseSignedAppCall(appCall.text)).toEqual(signed);

    const { method, path, headers, body } = appCall.request;
    expect(appRequestHash({ method, path, headers, body: fromHex(body) })).toBe(appCall.requestHash);
    const hash = (part: string | Uint8Array) => toHex(keccak256(typeof part === 'string' ? utf8(part) : part));
    const types = ['string', 'bytes32', 'bytes32', 'bytes32', 'bytes32'].map((type) => ({ type }));
    const parts = [hash(method), hash(path), hash(JSON.stringify(headers)), hash(fromHex(body))];
    expect(otherKeccak(encodeAbiParameters(types, ['cloister/app-request: v1', ...parts]))).toBe(appCall.requestHash);
  });

  test('requests that differ anywhere have other hashes, wherever their parts are cut', () => {
    const hashes = [
      request,
      { ...request, method: 'POS' },
      { ...request, method: 'POST/', path: 'x' },
      { ...request, headers: [] },
      {
        ...request,
        headers: [
          ['a', 'b'],
          ['a', 'b'],
        ] as [string, string][],
      },
      { ...request, headers: [['ab', '']] as [string, string][] },
      { ...request, headers: [['a', 'b","']] as [string, string][] },
      { ...request, body: utf8('bod') },
    ].map(appRequestHash);
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  test('a statement is read in its one form', () => {
    for (const other of [
      '',
      '{}',
      appCall.text.slice(0, -1),
      ` ${appCall.text}`,
      `${appCall.text.slice(0, -1)},"z":1}`,
    ])
      expect(() => parseSignedAppCall(other)).toThrow();
    expect(() => parseSignedAppCall(`"${'x'.repeat(2_048)}"`)).toThrow(
      expect.objectContaining({ code: 'JSON_TOO_LARGE' }),
    );
  });
});
