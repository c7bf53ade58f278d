import { beaconMessage, type RecordDomain } from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import { verifySignature } from '@cloister/threshold/combine';
import { publicShareAt } from '@cloister/threshold/dkg';
import { signWithShare, verifySignatureNative } from '@cloister/threshold/native';
import { bls12_381 } from '@noble/curves/bls12-381.js';
import * as mcl from 'mcl-wasm';
import { makeKey } from '../../packages/threshold/test/keyCeremony.ts';
import { type BenchLine, interleaved } from './measure.ts';

const domain: RecordDomain = { chainId: 31337, registry: `0x${'77'.repeat(20)}` };
const rounds = 32;

type Check = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;

/**
 * beacon-verify and beacon-verify-browser: one round's signature verified, key and signature read from their bytes and checked to
 * be in the group. Ours by blst and, as a browser does, by @noble/curves; the peer is mcl in WebAssembly.
 */
export async function benchBeaconVerify(): Promise<readonly BenchLine[]> {
  const peer = await mclCheck();
  // Of a committee of one: the signature is the same kind of point however many make it.
  const key = makeKey(1, 1);
  const [share] = key.shares;
  if (share === undefined) throw new Error('Expected a share');
  const publicKey = publicShareAt(key.commitments, 0);
  const beacon = Array.from({ length: rounds }, (_, round) => {
    const message = fromHex(beaconMessage(domain, BigInt(round)));
    return { message, signature: signWithShare(share, message) };
  });
  const inTurn = (check: Check) => {
    let next = 0;
    return () => {
      const { message, signature } = beacon[next++ % rounds] ?? { message: publicKey, signature: publicKey };
      if (!check(publicKey, message, signature)) throw new Error('Expected the signature to hold');
    };
  };
  for (const check of [verifySignatureNative, verifySignature, peer])
    if (check(publicKey, publicKey, beacon[0]?.signature ?? publicKey)) throw new Error('Expected a check');
  return [
    await interleaved({
      id: 'beacon-verify',
      ours: inTurn(verifySignatureNative),
      peer: inTurn(peer),
      runs: 30,
      callsPerRun: 10,
    }),
    await interleaved({
      id: 'beacon-verify-browser',
      ours: inTurn(verifySignature),
      peer: inTurn(peer),
      runs: 30,
      callsPerRun: 5,
    }),
  ];
}

/** e(key, H(message)) = e(generator, signature) by one final exponentiation, with all that ours checks. */
async function mclCheck(): Promise<Check> {
  await mcl.init(mcl.BLS12_381);
  mcl.setETHserialization(true);
  // Hashes as RFC 9380 says, under the tag that the beacon has.
  mcl.setMapToMode(mcl.IRTF);
  mcl.verifyOrderG1(true);
  mcl.verifyOrderG2(true);
  const generator = new mcl.G1();
  generator.deserialize(bls12_381.G1.Point.BASE.toBytes(true));
  const negated = mcl.neg(generator);
  return (publicKey, message, signature) => {
    const [key, point] = [new mcl.G1(), new mcl.G2()];
    key.deserialize(publicKey);
    point.deserialize(signature);
    if (key.isZero() || point.isZero()) return false;
    const left = mcl.millerLoop(key, mcl.hashAndMapToG2(message));
    return mcl.finalExp(mcl.mul(left, mcl.millerLoop(negated, point))).isOne();
  };
}
