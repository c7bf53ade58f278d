import { readFileSync } from 'node:fs';
import {
  bridgeMessageId,
  bridgeRoute,
  bridgeStatementDigest,
  bridgeStatementReader,
  bridgeStatementToJson,
  bridgeVoidDigest,
  interoperableAddress,
  parseBridgeStatement,
  parseSignedBridgeStatement,
  remoteHandoverDigest,
  SchemaError,
} from '@cloister/core';
import { encodeAbiParameters, hashTypedData, keccak256 } from 'viem';
import { describe, expect, test } from 'vitest';
import { addr, b32 } from './helpers.ts';

const vectors = JSON.parse(
  readFileSync(new URL('../../../vectors/bridge.json', import.meta.url), 'utf8'),
  (key, value) => (/^(number|expiry|generation)$/.test(key) ? BigInt(value) : value),
);
const typed = (
  { chainId, at }: { chainId: number; at: `0x${string}` },
  primaryType: string,
  fields: string,
  message: Record<string, unknown>,
) =>
  hashTypedData({
    domain: { name: 'Cloister', version: '1', chainId, verifyingContract: at },
    types: {
      [primaryType]: fields.split(',').map((text) => {
        const [type = '', name = ''] = text.split(' ');
        return { type, name };
      }),
    },
    primaryType,
    message,
  });

// Each form is computed a second time by viem's encoder.
describe('vectors/bridge.json', () => {
  test('routes, messages and void statements', () => {
    for (const { source, destination, message, id, void: voided } of vectors.messages) {
      expect(bridgeRoute(source, message.sender, destination)).toBe(message.route);
      const types = ['string', 'uint256', 'address', 'address', 'uint256', 'address'].map((type) => ({ type }));
      const tag = 'cloister/bridge-route: v1';
      const ends = [source.chainId, source.bridge, message.sender, destination.chainId, destination.bridge];
      expect(keccak256(encodeAbiParameters(types, [tag, ...ends]))).toBe(message.route);
      expect(bridgeMessageId(destination, message)).toBe(id);
      const fields = 'bytes32 route,uint64 number,uint64 expiry,address sender,address recipient,bytes32 payloadHash';
      expect(typed({ ...destination, at: destination.bridge }, 'BridgeMessage', fields, message)).toBe(id);
      expect(bridgeVoidDigest(source, destination, message)).toBe(voided);
      const said = { route: message.route, number: message.number, message: id };
      const voidFields = 'bytes32 route,uint64 number,bytes32 message';
      expect(typed({ ...source, at: source.bridge }, 'BridgeVoid', voidFields, said)).toBe(voided);
    }
  });

  test('handovers of the committee on the other chain', () => {
    const { chainId, committee } = vectors.remoteCommittee;
    for (const { next, digest } of vectors.handovers) {
      expect(remoteHandoverDigest({ chainId, committee }, next)).toBe(digest);
      const fields = 'uint64 generation,uint8 threshold,address[] signers';
      expect(typed({ chainId, at: committee }, 'RemoteHandover', fields, next)).toBe(digest);
    }
  });

  test('addresses by ERC-7930', () => {
    for (const { chainId, account, address } of vectors.interoperable)
      expect(interoperableAddress(chainId, account)).toBe(address);
    // The example of the standard, version 1: a mainnet account.
    expect(interoperableAddress(1, '0xd8da6bf26964af9d7eed9e03e53415d37aa96045')).toBe(
      '0x00010000010114d8da6bf26964af9d7eed9e03e53415d37aa96045',
    );
  });
});

describe('what members are asked to sign', () => {
  const [{ source, destination, message, id, void: voided }] = vectors.messages;
  const link = {
    name: 'second chain',
    chainId: destination.chainId,
    rpcs: ['http://127.0.0.1:8546'],
    home: { bridge: source.bridge, phaRoute: addr(1) },
    remote: {
      timelock: addr(2),
      committee: vectors.remoteCommittee.committee,
      bridge: destination.bridge,
      phaRoute: addr(3),
      pha: addr(4),
    },
  };
  const home = { chainId: source.chainId };
  const out = { statement: 'message', link: link.chainId, from: 'home', message } as const;
  const next = vectors.handovers[1].next;

  test('reads as it was written, and has one digest for the committee that reads it', () => {
    const statements = [
      [out, id, 'remote'],
      [{ ...out, statement: 'void' }, voided, 'home'],
      [{ statement: 'handover', link: link.chainId, next }, vectors.handovers[1].digest, 'remote'],
    ] as const;
    for (const [statement, digest, reader] of statements) {
      const json = JSON.parse(JSON.stringify(bridgeStatementToJson(statement)));
      expect(parseBridgeStatement(json)).toEqual(statement);
      expect(bridgeStatementDigest(home, link, statement)).toBe(digest);
      expect(bridgeStatementReader(statement)).toBe(reader);
    }
    const back = { ...out, from: 'remote' } as const;
    expect(bridgeStatementReader(back)).toBe('home');
    expect(bridgeStatementReader({ ...back, statement: 'void' })).toBe('remote');
    expect(new Set([back, out].map((one) => bridgeStatementDigest(home, link, one))).size).toBe(2);
  });

  test.each([
    ['another statement', { statement: 'epoch' }],
    ['another side', { from: 'elsewhere' }],
    ['more', { more: 1 }],
    [
      'a number that is none',
      { message: { ...JSON.parse(JSON.stringify(bridgeStatementToJson(out))).message, number: '-1' } },
    ],
    ['a message that lacks a field', { message: { route: b32(1) } }],
  ])('refuses %s', (_, change) => {
    expect(() => parseBridgeStatement({ ...bridgeStatementToJson(out), ...change })).toThrow(SchemaError);
  });

  test('refuses a signature of another length, and more signers than a committee has', () => {
    const signed = { signer: addr(1), signature: `0x${'11'.repeat(65)}` };
    expect(parseSignedBridgeStatement(signed)).toEqual(signed);
    expect(() => parseSignedBridgeStatement({ ...signed, signature: '0x11' })).toThrow(SchemaError);
    const many = { ...next, signers: Array.from({ length: 33 }, (_, index) => addr(index + 1)) };
    const handover = { statement: 'handover', link: link.chainId, next: many } as const;
    expect(() => parseBridgeStatement(bridgeStatementToJson(handover))).toThrow(SchemaError);
  });
});
