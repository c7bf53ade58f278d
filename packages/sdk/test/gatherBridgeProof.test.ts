import {
  type Address,
  type BridgeStatement,
  type Bytes32,
  bridgeStatementDigest,
  committeeProof,
  type Hex,
  type MirroredGeneration,
  parseBridgeStatement,
} from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, signDigest, toHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { addr, b32, link, network } from '../../core/test/helpers.ts';
import { gatherBridgeProof, gatherHandoverProofs } from '../src/bridge/gatherBridgeProof.ts';
import type { LinkChains } from '../src/bridge/linkChains.ts';

const message = {
  route: b32(1),
  number: 1n,
  expiry: 2n,
  sender: addr(2),
  recipient: addr(3),
  payloadHash: b32(4),
};
const out: BridgeStatement = { statement: 'message', link: link.chainId, from: 'home', message };

type Member = { readonly signer: Address; readonly sign: (digest: Bytes32) => Hex };
function members(count: number): Member[] {
  return Array.from({ length: count }, () => {
    const secret = generateSecp256k1();
    return { signer: addressOf(secret), sign: (digest: Bytes32) => toHex(signDigest(secret, fromHex(digest))) };
  });
}

const all = members(4);
const [first, second, third, fourth] = all as [Member, Member, Member, Member];
const rollOf = (threshold: number, signing: readonly Member[]): MirroredGeneration => ({
  generation: 1n,
  threshold,
  signers: signing.map(({ signer }) => signer),
});

/** Members of a link that answer as `answer` says; each of them lives at its signer's address. */
function worldOf(
  rolls: { readonly home: MirroredGeneration; readonly remote: MirroredGeneration },
  answer: (member: Member, digest: Bytes32, statement: BridgeStatement) => Response | Promise<Response>,
  unknown: readonly Address[] = [],
) {
  const asked: string[] = [];
  const chains = {
    network,
    link,
    roll: async (side: 'home' | 'remote') => rolls[side],
    mirror: { current: async () => rolls.remote },
    committee: {
      endpointsOf: async (signers: readonly Address[]) =>
        new Map(signers.filter((one) => !unknown.includes(one)).map((one) => [one, `http://${one}`])),
    },
  } as unknown as LinkChains;
  const fetch = (async (url: string, init: { body: string }) => {
    asked.push(url);
    const statement = parseBridgeStatement(JSON.parse(init.body));
    const member = all.find(({ signer }) => url === `http://${signer}/v1/bridges`) as Member;
    return answer(member, bridgeStatementDigest(network, link, statement), statement);
  }) as unknown as typeof globalThis.fetch;
  return { chains, init: { fetch, timeoutMs: 1_000 }, asked };
}

const good = (member: Member, digest: Bytes32) =>
  Response.json({ signer: member.signer, signature: member.sign(digest) });
const refusal = Response.json.bind(Response, { code: 'BRIDGE_NOT_SENT', message: 'Not yet' }, { status: 503 });

describe('the proof of a statement', () => {
  const rolls = { home: rollOf(2, [first, second]), remote: rollOf(3, all) };

  test('is made of as many signatures as the chain that reads it asks for', async () => {
    const { chains, init } = worldOf(rolls, good);
    const digest = bridgeStatementDigest(network, link, out);
    const there = await gatherBridgeProof(chains, out, init);
    const signatures = new Map(all.map((one) => [one.signer, one.sign(digest)]));
    expect(there).toMatchObject({ have: 4, need: 3, refusals: [] });
    expect(there.proof).toBe(committeeProof(rolls.remote.signers, 3, signatures));
    const back = await gatherBridgeProof(chains, { ...out, from: 'remote' }, init);
    expect(back).toMatchObject({ have: 2, need: 2 });
    expect(back.proof).toMatch(/^0x00000003/);
  });

  test('is none while too few sign, and says why the others do not', async () => {
    const silent = new Promise<Response>(() => {});
    const { chains, init } = worldOf(
      rolls,
      (member, digest) => {
        if (member === first) return good(member, digest);
        if (member === second) return good(first, digest);
        if (member === third) return refusal();
        return silent;
      },
      [],
    );
    const { have, need, proof, refusals } = await gatherBridgeProof(chains, out, { ...init, timeoutMs: 200 });
    expect([have, need, proof]).toEqual([1, 3, undefined]);
    expect(Object.fromEntries(refusals.map(({ signer, code }) => [signer, code]))).toEqual({
      [second.signer]: 'BRIDGE_SIGNATURE_OTHER',
      [third.signer]: 'BRIDGE_NOT_SENT',
      [fourth.signer]: 'DEADLINE_EXCEEDED',
    });
  });

  test('counts no signature over another statement, nor what is no answer', async () => {
    const other = b32(9);
    const { chains, init } = worldOf(
      rolls,
      (member, digest) => {
        if (member === first) return good(member, other);
        if (member === second) return Response.json({ signature: '0x' });
        if (member === third) return new Response('x'.repeat(20_000));
        return good(member, digest);
      },
      [fourth.signer],
    );
    const { have, refusals } = await gatherBridgeProof(chains, out, init);
    expect(have).toBe(0);
    expect(refusals.map(({ code }) => code).sort()).toEqual(
      [
        'BRIDGE_MEMBER_UNREACHABLE',
        'BRIDGE_SIGNATURE_OTHER',
        'SCHEMA_MISMATCH',
        refusals.find(({ signer }) => signer === third.signer)?.code,
      ].sort(),
    );
  });
});

describe('the proofs of a handover', () => {
  const rolls = { home: rollOf(2, [second, third]), remote: rollOf(2, [first, second]) };
  const next = { ...rolls.home, generation: 2n };

  test('ask those that left too, each once', async () => {
    const { chains, init, asked } = worldOf(rolls, good);
    const proofs = await gatherHandoverProofs(chains, next, init);
    expect(proofs?.previous).toMatch(/^0x00000003/);
    expect(proofs?.held).toMatch(/^0x00000003/);
    expect(asked.sort()).toEqual([first, second, third].map(({ signer }) => `http://${signer}/v1/bridges`).sort());
  });

  test('are none where one that left is gone', async () => {
    const { chains, init } = worldOf(rolls, good, [first.signer]);
    expect(await gatherHandoverProofs(chains, next, init)).toBeUndefined();
  });
});
