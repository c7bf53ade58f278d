import { readFileSync } from 'node:fs';
import {
  attestationResultDigest,
  attestationResultEvidence,
  beaconMessage,
  beaconRandomness,
  commitmentTo,
  epochRecordDigest,
  epochRecordToJson,
  evictionTreeOf,
  gatekeeperBindingHash,
  handoverDigest,
  keyAnswerDigest,
  keyIdentityHash,
  keyRequestDigest,
  measurementCommitmentDigest,
  measurementPublicationDigest,
  measurementVectorBytes,
  measurementVectorId,
  membersHash,
  networkKeysHash,
  parseEpochRecord,
  parseMeasurementVector,
  parseSignedAttestationResult,
  parseSignedPlatformRevocation,
  parseSignedRoundStatement,
  platformRevocationDigest,
  provesAbsence,
  publicationId,
  roundStatementMessage,
  roundStatementToJson,
  SchemaError,
  sealedSecretDigest,
  signedAttestationResultToJson,
  stateFenceDigest,
  stateHeadMessage,
  stateKeptDigest,
  statePromiseDigest,
  stateWriteDigest,
} from '@cloister/core';
import { keccak256, sha256, toHex, utf8 } from '@cloister/crypto';
import { concatHex, encodeAbiParameters, type Hex, hashTypedData, keccak256 as otherKeccak } from 'viem';
import { describe, expect, test } from 'vitest';

const vectors = JSON.parse(
  readFileSync(new URL('../../../vectors/committee.json', import.meta.url), 'utf8'),
  (key, value) => (/^(generation|epoch|block|round|fence)$/.test(key) ? BigInt(value) : value),
);
const { domain } = vectors;
const eip712 = { name: 'Cloister', version: '1', chainId: domain.chainId, verifyingContract: domain.registry } as const;
const field = (text: string) => {
  const [type, name] = text.split(' ');
  return { type: type ?? '', name: name ?? '' };
};
const typed = (primaryType: string, fields: string, message: Record<string, unknown>) =>
  hashTypedData({ domain: eip712, types: { [primaryType]: fields.split(',').map(field) }, primaryType, message });

// Each form is computed a second time by viem's encoder: what both say stands in the vectors for ever.
describe('vectors/committee.json', () => {
  test('identity of a key', () => {
    const { input, hash } = vectors.keyIdentity;
    expect(keyIdentityHash(domain, input)).toBe(hash);
    const types = ['string', 'uint256', 'address', 'bytes32', 'uint32', 'uint8', 'bytes32'];
    const values = [
      'cloister/id: v1',
      BigInt(domain.chainId),
      domain.registry,
      input.app,
      input.keyVersion,
      1,
      input.context,
    ];
    expect(
      otherKeccak(
        encodeAbiParameters(
          types.map((type) => ({ type })),
          values,
        ),
      ),
    ).toBe(hash);
  });

  test('request for a key, and a member’s answer', () => {
    const { request, requestDigest, answer, answerDigest } = vectors.keyRequest;
    expect(keyRequestDigest(domain, request)).toBe(requestDigest);
    expect(keyAnswerDigest(domain, answer)).toBe(answerDigest);
    const requestFields =
      'bytes32 app,bytes32 manifest,uint32 keyVersion,uint8 class,bytes32 context,uint64 epoch,uint64 block,bytes32 nonce,bytes32 hpkeKey';
    expect(typed('KeyRequest', requestFields, { ...request, class: 1 })).toBe(requestDigest);
    const answerFields = 'bytes32 request,uint64 generation,uint8 index,bytes32 sealedHash';
    expect(typed('KeyAnswer', answerFields, answer)).toBe(answerDigest);
  });

  test('sealed secret', () => {
    const { input, digest } = vectors.sealedSecret;
    expect(sealedSecretDigest(domain, input)).toBe(digest);
    // The ciphertext stands in it by its hash, and the name as text.
    const message = { ...input, ciphertextHash: otherKeccak(input.sealed) };
    const fields = 'bytes32 app,string name,uint32 keyVersion,bytes32 ciphertextHash';
    expect(typed('SealedSecret', fields, message)).toBe(digest);
  });

  test('handover', () => {
    const { members, membersHash: hash, keys, networkKeysHash: keysHash, handover, digest } = vectors.handover;
    expect(membersHash(members)).toBe(hash);
    const lists = ['operator', 'signer', 'hpkeKey'].map((name) => members.map((member: never) => member[name]));
    const listTypes = [{ type: 'address[]' }, { type: 'address[]' }, { type: 'bytes32[]' }];
    expect(otherKeccak(encodeAbiParameters(listTypes, lists as never))).toBe(hash);
    expect(networkKeysHash(keys)).toBe(keysHash);
    expect(otherKeccak(encodeAbiParameters([{ type: 'bytes' }, { type: 'bytes' }], [keys.apps, keys.beacon]))).toBe(
      keysHash,
    );
    expect(handoverDigest(domain, handover)).toBe(digest);
    const fields =
      'uint64 generation,uint8 threshold,bytes32 membersHash,uint32 dealers,bytes32 transcriptHash,bytes32 publicSharesHash,bytes32 networkKeysHash';
    expect(typed('Handover', fields, handover)).toBe(digest);
  });

  test('binding of a gatekeeper', () => {
    const { input, hash } = vectors.gatekeeperBinding;
    expect(gatekeeperBindingHash(input)).toBe(hash);
    const signerHash = otherKeccak(
      encodeAbiParameters([{ type: 'address' }, { type: 'bytes32' }], [input.signer, input.hpkeKey]),
    );
    const types = ['string', 'uint256', 'address', 'address', 'bytes32', 'bytes32'].map((type) => ({ type }));
    const values = [
      'cloister/gatekeeper: v1',
      BigInt(input.chainId),
      input.committee,
      input.operator,
      signerHash,
      input.networkKeysHash,
    ];
    expect(otherKeccak(encodeAbiParameters(types, values))).toBe(hash);
  });

  test('round statement', () => {
    const { statement, message } = vectors.roundStatement;
    const { round, time, block, blockHash, evictionRoot } = statement;
    const read = { round, time: BigInt(time), block, blockHash, evictionRoot };
    expect(roundStatementMessage(domain, read)).toBe(message);
    const types = ['string', 'uint256', 'address', 'uint64', 'uint64', 'uint64', 'bytes32', 'bytes32'];
    const tag = 'cloister/round statement: v1';
    const values = [tag, BigInt(domain.chainId), domain.registry, round, BigInt(time), block, blockHash, evictionRoot];
    const encoded = encodeAbiParameters(
      types.map((type) => ({ type })),
      values,
    );
    expect(otherKeccak(encoded)).toBe(message);

    const signed = { ...read, signature: `0x${'5a'.repeat(96)}` as const };
    const json = roundStatementToJson(signed);
    expect(parseSignedRoundStatement(JSON.parse(JSON.stringify(json)))).toEqual(signed);
    for (const [name, value] of [
      ['round', 987],
      ['round', '-1'],
      ['time', '18446744073709551616'],
      ['block', '1.5'],
      ['blockHash', '0x65'],
      ['signature', `0x${'5a'.repeat(95)}`],
      ['more', '1'],
    ] as const)
      expect(() => parseSignedRoundStatement({ ...json, [name]: value }), name).toThrow(SchemaError);
    for (const other of [null, 'text', [], {}]) expect(() => parseSignedRoundStatement(other)).toThrow(SchemaError);
  });

  test('attestation result, as the contract takes it, and revocation of a platform', () => {
    const { result: json, digest, proof, evidence, revocation, revocationDigest } = vectors.attestationResult;
    const result = { ...json, validUntil: BigInt(json.validUntil) };
    expect(attestationResultDigest(domain, result)).toBe(digest);
    const fields =
      'uint8 teeType,bool simulated,uint8 tcbStatus,uint32 tcbEvaluationDataNumber,uint64 validUntil,bytes32 imageId,bytes32 configId,bytes32 platformId,bytes32 evidenceHash,bytes32 reportDataHead,bytes32 reportDataTail';
    expect(typed('AttestationResult', fields, result)).toBe(digest);
    // Each field counts: another value of it gives another digest.
    const others = {
      ...result,
      teeType: 4,
      simulated: false,
      tcbStatus: 2,
      tcbEvaluationDataNumber: 2,
      validUntil: 1n,
    };
    for (const name of Object.keys(result)) {
      const other = others[name] === result[name] ? `0x${'99'.repeat(32)}` : others[name];
      expect(attestationResultDigest(domain, { ...result, [name]: other }), name).not.toBe(digest);
    }
    expect(attestationResultDigest({ ...domain, chainId: 1 }, result)).not.toBe(digest);

    const tuple = { type: 'tuple', components: fields.split(',').map(field) };
    expect(attestationResultEvidence(result, proof)).toBe(evidence);
    expect(encodeAbiParameters([tuple, { type: 'bytes' }] as never, [result, proof] as never)).toBe(evidence);
    const whole = `0x${'6d'.repeat(64)}` as const;
    expect(attestationResultEvidence(result, whole)).toBe(
      encodeAbiParameters([tuple, { type: 'bytes' }] as never, [result, whole] as never),
    );
    expect(platformRevocationDigest(domain, revocation)).toBe(revocationDigest);
    expect(typed('PlatformRevocation', 'uint8 teeType,bytes32 platformId', revocation)).toBe(revocationDigest);

    const signature = `0x${'5a'.repeat(65)}` as const;
    const signed = JSON.parse(JSON.stringify(signedAttestationResultToJson({ ...result, signature })));
    expect(parseSignedAttestationResult(signed)).toEqual({ ...result, signature });
    for (const [name, value] of [
      ['teeType', 256],
      ['teeType', 0],
      ['simulated', 1],
      ['tcbStatus', 8],
      ['tcbStatus', 0],
      ['tcbEvaluationDataNumber', 2 ** 32],
      ['validUntil', 1],
      ['validUntil', '18446744073709551616'],
      ['imageId', '0x67'],
      ['platformId', null],
      ['reportDataTail', 'AB'],
      ['signature', `0x${'5a'.repeat(64)}`],
      ['more', 1],
    ] as const)
      expect(() => parseSignedAttestationResult({ ...signed, [name]: value }), name).toThrow(SchemaError);
    for (const name of Object.keys(signed))
      expect(() => parseSignedAttestationResult({ ...signed, [name]: undefined }), name).toThrow(SchemaError);
    for (const other of [null, 'text', [], {}]) expect(() => parseSignedAttestationResult(other)).toThrow(SchemaError);
    expect(parseSignedPlatformRevocation({ ...revocation, signature })).toEqual({ ...revocation, signature });
    expect(() => parseSignedPlatformRevocation({ ...revocation, signature, more: 1 })).toThrow(SchemaError);
    expect(() => parseSignedPlatformRevocation(revocation)).toThrow(SchemaError);
  });

  test('beacon', () => {
    const { round, message, signature, randomness } = vectors.beacon;
    expect(beaconMessage(domain, round)).toBe(message);
    const types = ['string', 'uint256', 'address', 'uint64'].map((type) => ({ type }));
    const values = ['cloister/beacon: v1', BigInt(domain.chainId), domain.registry, round];
    expect(otherKeccak(encodeAbiParameters(types, values))).toBe(message);
    expect(beaconRandomness(signature)).toBe(randomness);
    expect(toHex(keccak256(Uint8Array.from(Buffer.from(signature.slice(2), 'hex'))))).toBe(randomness);
  });

  test('measurements: what is committed to, published, and counted', () => {
    for (const entry of vectors.measurements) {
      const { vector: text, vectorId, commitment, commitmentDigest, publication, publicationDigest } = entry;
      const { epoch, member, salt, seen } = publication;
      const vector = parseMeasurementVector(utf8(text));
      expect(measurementVectorBytes(vector)).toEqual(utf8(text));
      expect([measurementVectorId(vector), toHex(sha256(utf8(text)))]).toEqual([vectorId, vectorId]);
      expect(commitmentTo(vectorId, salt)).toBe(commitment);
      const tagged = [{ type: 'string' }, { type: 'bytes32' }, { type: 'bytes32' }];
      expect(otherKeccak(encodeAbiParameters(tagged, ['cloister/measurements: v1', vectorId, salt]))).toBe(commitment);
      expect(measurementCommitmentDigest(domain, { epoch, member, commitment })).toBe(commitmentDigest);
      const commitmentFields = 'uint64 epoch,address member,bytes32 commitment';
      expect(typed('MeasurementCommitment', commitmentFields, { epoch, member, commitment })).toBe(commitmentDigest);
      const seenHash = otherKeccak(
        encodeAbiParameters(
          seen.flatMap(() => [{ type: 'address' }, { type: 'bytes32' }]),
          seen.flatMap((one: { member: Hex; commitment: Hex }) => [one.member, one.commitment]),
        ),
      );
      expect(measurementPublicationDigest(domain, publication)).toBe(publicationDigest);
      const fields = 'uint64 epoch,address member,bytes32 vectorId,bytes32 salt,bytes32 seenHash';
      expect(typed('MeasurementPublication', fields, { epoch, member, vectorId, salt, seenHash })).toBe(
        publicationDigest,
      );
      expect(publicationId(publication)).toBe(entry.publicationId);
      const words = [
        { type: 'uint64' },
        { type: 'address' },
        { type: 'bytes32' },
        { type: 'bytes32' },
        { type: 'bytes32' },
      ];
      expect(otherKeccak(encodeAbiParameters(words, [epoch, member, vectorId, salt, seenHash]))).toBe(
        entry.publicationId,
      );
    }
  });

  test('epoch record: its digest, and its roots from its leaves', () => {
    const { record: json, leaves, digest } = vectors.epochRecord;
    const record = parseEpochRecord({ ...json, epoch: String(json.epoch), block: String(json.block) });
    expect(epochRecordDigest(domain, record)).toBe(digest);
    expect(parseEpochRecord(epochRecordToJson(record))).toEqual(record);
    const { totals, ...rest } = record;
    const fields =
      'uint64 epoch,uint32 attempt,uint64 block,bytes32 blockHash,bytes32 beacon,bytes32 measurementsRoot,bytes32 directoryRoot,bytes32 rewardsRoot,bytes32 evictionRoot,bytes32 releaseLogRoot,uint32 members,uint32 workers,uint128 stake,uint128 work,uint128 rewards';
    expect(typed('EpochRecord', fields, { ...rest, ...totals })).toBe(digest);
    const roots = Object.entries(leaves) as [keyof typeof rest, { leaf: Hex }[]][];
    for (const [field, list] of roots) expect(otherRoot(list.map(({ leaf }) => leaf))).toBe(rest[field]);
  });

  test('gaps between evicted signers', () => {
    for (const { signers, root, absent } of vectors.evictions) {
      expect(evictionTreeOf(signers).root).toBe(root);
      const sorted = [`0x${'00'.repeat(20)}`, ...[...signers].sort(), `0x${'ff'.repeat(20)}`] as Hex[];
      const pair = [{ type: 'address' }, { type: 'address' }];
      const leaves = sorted.slice(1).map((hi, index) => otherKeccak(encodeAbiParameters(pair, [sorted[index], hi])));
      expect(otherRoot(leaves)).toBe(root);
      for (const { signer, proof } of absent) expect(provesAbsence(root, signer, proof)).toBe(true);
    }
  });

  test('head of an app’s state, and a member’s word that it keeps it', () => {
    const { head, headMessage, keptDigest } = vectors.state;
    const version = BigInt(head.version);
    expect(stateHeadMessage(domain, { ...head, version })).toBe(headMessage);
    const types = ['string', 'uint256', 'address', 'bytes32', 'uint32', 'uint64', 'uint64', 'bytes32'];
    const { app, partition, fence, root } = head;
    const values = ['cloister/state-head: v1', BigInt(domain.chainId), domain.registry, app, partition];
    const encoded = encodeAbiParameters(
      types.map((type) => ({ type })),
      [...values, version, fence, root],
    );
    expect(otherKeccak(encoded)).toBe(headMessage);
    expect(stateKeptDigest(domain, headMessage, 4n)).toBe(keptDigest);
    const kept = { head: headMessage, generation: 4n };
    expect(typed('StateKept', 'bytes32 head,uint64 generation', kept)).toBe(keptDigest);
  });

  test('requests about an app’s state, and a member’s promise', () => {
    const { fenceRequest, fenceDigest, promise, promiseDigest, writeDigest } = vectors.state;
    const write = { ...vectors.state.write, version: BigInt(vectors.state.write.version) };
    expect(stateFenceDigest(domain, fenceRequest)).toBe(fenceDigest);
    const asked = 'bytes32 app,bytes32 manifest,uint32 keyVersion,uint32 partition';
    const fenceFields = `${asked},uint64 fence,uint64 epoch,uint64 block,bytes32 nonce`;
    expect(typed('StateFence', fenceFields, fenceRequest)).toBe(fenceDigest);
    expect(stateWriteDigest(domain, write)).toBe(writeDigest);
    const writeFields = `${asked},uint64 version,uint64 fence,bytes32 root,uint64 epoch,uint64 block`;
    expect(typed('StateWrite', writeFields, write)).toBe(writeDigest);
    const certified = { ...promise.certified, version: BigInt(promise.certified.version) };
    expect(statePromiseDigest(domain, { ...promise, certified })).toBe(promiseDigest);
    const promiseFields =
      'bytes32 request,bytes32 app,uint32 partition,uint64 fence,address holder,uint64 generation,uint64 headVersion,uint64 headFence,bytes32 headRoot';
    const told = { headVersion: certified.version, headFence: certified.fence, headRoot: certified.root };
    expect(typed('StatePromise', promiseFields, { ...promise, ...told })).toBe(promiseDigest);
  });
});

function otherRoot(level: readonly Hex[]): Hex {
  if (level.length === 1) return level[0] as Hex;
  const pairs = level.filter((_, index) => index % 2 === 0).map((left, index) => [left, level[2 * index + 1]] as const);
  return otherRoot(
    pairs.map(([left, right]) =>
      right === undefined ? left : otherKeccak(concatHex(['0x01', ...[left, right].sort((a, b) => (a < b ? -1 : 1))])),
    ),
  );
}
