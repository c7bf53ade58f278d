import {
  absenceProof,
  appCallDigest,
  appRequestHash,
  attestationResultDigest,
  attestationResultEvidence,
  beaconMessage,
  beaconRandomness,
  commitmentTo,
  epochRecordDigest,
  evictionTreeOf,
  gatekeeperBindingHash,
  handoverDigest,
  type KeyClass,
  type KeyPurpose,
  keyAnswerDigest,
  keyIdentityHash,
  keyPurposes,
  keyRequestDigest,
  keyUseInfo,
  type MeasurementVector,
  measurementCommitmentDigest,
  measurementPublicationDigest,
  measurementVectorBytes,
  measurementVectorId,
  membersHash,
  networkKeysHash,
  platformRevocationDigest,
  publicationId,
  roundStatementMessage,
  sealedCodeAad,
  sealedCodeDigest,
  sealedSecretDigest,
  secretsIdentity,
  signedAppCallText,
  stateFenceDigest,
  stateHeadMessage,
  stateKeptDigest,
  statePromiseDigest,
  stateWriteDigest,
} from '@cloister/core';

import { fromHex, fromUtf8, SecretBytes, signDigest, toHex, utf8 } from '@cloister/crypto';
import { epochDataOf, placementOf, placementTermAt, rendezvousScore } from '@cloister/economics';
import { deriveFromSignature } from '@cloister/threshold/combine';
import { publicOf, signWithShare } from '@cloister/threshold/native';
import { addr, b32, domain } from '../../packages/core/test/helpers.ts';
// Sealing draws its seed at random; only a vector may choose one.
import { sealWithSeed } from '../../packages/threshold/src/seal/sealToIdentity.ts';

const identity = secretsIdentity(b32(0x51), 3);
const request = {
  ...identity,
  manifest: b32(0x52),
  epoch: 12n,
  block: 345n,
  nonce: b32(0x53),
  hpkeKey: b32(0x54),
};
const requestDigest = keyRequestDigest(domain, request);
const answer = { request: requestDigest, generation: 4n, index: 2, sealedHash: b32(0x55) };
const secret = { app: b32(0x51), name: 'API_KEY', keyVersion: 3, sealed: toHex(new Uint8Array(130).fill(0xcd)) };
const appRequest = {
  method: 'POST',
  path: '/ask?x=1',
  headers: [['x-mine', 'a, "b"']] as const,
  body: utf8('question'),
};
const appCall = {
  caller: b32(0x58),
  callerManifest: b32(0x59),
  callee: b32(0x5a),
  receiver: addr(0x5b),
  call: b32(0x5c),
  request: appRequestHash(appRequest),
  notAfter: 1_790_000_300n,
};
const members = [1, 2, 3].map((byte) => ({
  operator: addr(byte),
  signer: addr(0x10 + byte),
  hpkeKey: b32(0x20 + byte),
}));
const share = (byte: number) => new SecretBytes(new Uint8Array(32).fill(byte));
const keys = { apps: toHex(publicOf(share(0x11))), beacon: toHex(publicOf(share(0x12))) };
const handover = {
  generation: 4n,
  threshold: 3,
  membersHash: membersHash(members),
  dealers: 0b1101,
  transcriptHash: b32(0x61),
  publicSharesHash: b32(0x62),
  networkKeysHash: networkKeysHash(keys),
};
const binding = {
  chainId: domain.chainId,
  committee: addr(0x78),
  operator: addr(0x22),
  signer: addr(0x23),
  hpkeKey: b32(0x24),
  networkKeysHash: networkKeysHash(keys),
};
const round = 987n;
const signature = toHex(signWithShare(share(0x12), fromHex(beaconMessage(domain, round))));
const statement = { round, time: 1_790_029_600n, block: 346n, blockHash: b32(0x65), evictionRoot: b32(0x66) };

const partition = { app: b32(0x51), partition: 7 };
const stateHead = { ...partition, version: 41n, fence: 5n, root: b32(0x56) };
const stateAsk = { ...partition, manifest: b32(0x52), keyVersion: 3, epoch: 12n, block: 345n };
const fenceRequest = { ...stateAsk, fence: 5n, nonce: b32(0x53) };
const stateWrite = { ...stateAsk, version: 41n, fence: 5n, root: b32(0x56) };
const promise = {
  request: stateFenceDigest(domain, fenceRequest),
  ...partition,
  fence: 5n,
  holder: addr(0x57),
  generation: 4n,
  certified: { version: 40n, fence: 4n, root: b32(0x58) },
};
/** A result of an SNP guest's evidence, and a proof of two members' signatures that nobody made. */
const result = {
  teeType: 3,
  simulated: true,
  tcbStatus: 1,
  tcbEvaluationDataNumber: 1,
  validUntil: 1_790_086_400n,
  imageId: b32(0x67),
  configId: b32(0x68),
  platformId: b32(0x69),
  evidenceHash: b32(0x6a),
  reportDataHead: b32(0x6b),
  reportDataTail: b32(0x6c),
};
const resultProof = toHex(new Uint8Array(4 + 2 * 65).fill(0x6d));
const revocation = { teeType: 3, platformId: b32(0x69) };

const clock = { genesis: 1_790_000_000n, epochLength: 3_600n, roundLength: 30n };
const workers = Array.from({ length: 6 }, (_, index) => ({
  workerId: b32(0x81 + index),
  operator: addr(0x91 + (index % 4)),
  platformId: b32(0xa1 + (index % 5)),
  teeType: index === 5 ? 3 : 2,
  kinds: 1,
  active: index !== 4,
  leaseUntil: 1_790_100_000n,
  weight: BigInt(1 + index * 10),
}));
const rules = {
  kind: 'function' as const,
  placement: {
    replicas: 3,
    teeTypes: ['tdx' as const],
    minTcbEvaluationDataNumber: 0,
    distinct: ['operator' as const],
  },
};
const term = (now: bigint, termEpochs: bigint) => placementTermAt(b32(0x51), 1_790_000_100n, now, clock, termEpochs);

/** Three members measured two workers; the third one's commitment came to two others in time. */
const operators = [addr(1), addr(2), addr(3)];
const measured = operators.map((member, index): MeasurementVector => {
  const worker = (byte: number, answered: number) => ({
    workerId: b32(byte),
    asked: 60,
    answered,
    latencyMs: 20 + index,
    work: BigInt(1_000_000 * (index + 1)),
  });
  const releaseLogHead = b32(0x31 + index);
  return {
    format: 'cloister-measurements-1',
    epoch: 12n,
    member,
    releaseLogHead,
    workers: [worker(0x81, 60 - index), worker(0x82, 30)],
  };
});
const published = measured.map((vector, index) => {
  const seen = measured.map((other, at) => ({
    member: other.member,
    commitment: commitmentTo(measurementVectorId(other), b32(0x41 + at)),
  }));
  const publication = {
    epoch: 12n,
    member: vector.member,
    vectorId: measurementVectorId(vector),
    salt: b32(0x41 + index),
    seen: index === 2 ? seen : seen.slice(0, 2 + (index % 2)),
  };
  return { publication, vector };
});
const epochInputs = {
  epoch: 12n,
  attempt: 1,
  block: 345n,
  blockHash: b32(0x71),
  beacon: b32(0x72),
  members: operators,
  threshold: 2,
  workers: [0x82, 0x81].map((byte) => ({
    workerId: b32(byte),
    signer: addr(byte),
    platformId: b32(byte + 0x10),
    operator: addr(byte + 0x20),
    teeType: 2,
    stake: BigInt(byte),
  })),
  evicted: [addr(0xe1)],
  earners: {
    budget: 30_000n * 10n ** 18n,
    bondFactor: 10n ** 18n,
    workers: [0x82, 0x81].map((byte) => ({
      workerId: b32(byte),
      platformId: b32(byte + 0x10),
      operator: addr(byte + 0x20),
      bond: BigInt(byte) * 10n ** 18n,
      tcbStatus: byte - 0x80,
    })),
  },
};

/** Lists of evicted signers of several lengths, and what is proven of signers that are not in them. */
const evictions = [0, 1, 2, 5].map((count) => {
  const signers = Array.from({ length: count }, (_, index) => addr(0xe1 - 0x11 * index));
  const tree = evictionTreeOf(signers);
  const absent = [addr(0x01), addr(0xd1), addr(0xfe)].map((signer) => ({ signer, proof: absenceProof(tree, signer) }));
  return { signers, root: tree.root, absent };
});

/** A key of each purpose, as if one signature were of every class. */
async function keyUsesOf(from: SecretBytes): Promise<object[]> {
  const purposes = Object.entries(keyPurposes) as [KeyPurpose, KeyClass][];
  return Promise.all(
    purposes.map(async ([purpose, of], index) => {
      const use = { purpose, name: index === 0 ? 'zwölf' : 'main', version: index + 1 };
      const key = await deriveFromSignature({ class: of, signature: from }, use);
      return { class: of, use, info: toHex(keyUseInfo(use)), key: toHex(key.reveal()) };
    }),
  );
}

/** The committee's records, what is sealed to an identity, and where an app is placed, over fixed inputs. */
export async function committeeVectors(): Promise<object> {
  const identityHash = keyIdentityHash(domain, identity);
  const epochData = epochDataOf({
    ...epochInputs,
    publications: published.map(({ publication }) => publication),
    vectors: new Map(published.map(({ publication, vector }) => [publication.vectorId, vector])),
  });
  const signedAppCall = {
    ...appCall,
    signature: toHex(signDigest(share(0x11), fromHex(appCallDigest(domain, appCall)))),
  };
  const [seed, plaintext] = [new Uint8Array(32).fill(0x77), utf8('a value')];
  const sealed = await sealWithSeed(fromHex(keys.apps), fromHex(identityHash), utf8('API_KEY'), plaintext, seed);
  return {
    comment: 'The committee: records, sealing, placement, version 1. Integers beyond 2^53 as decimal strings.',
    domain,
    keyIdentity: { input: identity, hash: identityHash },
    keyRequest: { request, requestDigest, answer, answerDigest: keyAnswerDigest(domain, answer) },
    sealedSecret: { input: secret, digest: sealedSecretDigest(domain, secret) },
    seal: {
      publicKey: keys.apps,
      identity: identityHash,
      aad: 'API_KEY',
      seed: b32(0x77),
      plaintext: 'a value',
      sealed: toHex(sealed),
      signature: toHex(signWithShare(share(0x11), fromHex(identityHash))),
    },
    appCall: {
      request: { ...appRequest, body: toHex(appRequest.body) },
      requestHash: appCall.request,
      statement: { ...appCall, signature: signedAppCall.signature },
      digest: appCallDigest(domain, appCall),
      text: signedAppCallText(signedAppCall),
    },
    sealedCode: {
      name: 'hello',
      salt: b32(0x56),
      codeSha256: b32(0x57),
      digest: sealedCodeDigest(b32(0x56), b32(0x57)),
      aad: toHex(sealedCodeAad('hello')),
    },
    keyUses: await keyUsesOf(new SecretBytes(signWithShare(share(0x11), fromHex(identityHash)))),
    handover: {
      members,
      membersHash: handover.membersHash,
      keys,
      networkKeysHash: handover.networkKeysHash,
      handover,
      digest: handoverDigest(domain, handover),
    },
    gatekeeperBinding: { input: binding, hash: gatekeeperBindingHash(binding) },
    beacon: { round, message: beaconMessage(domain, round), signature, randomness: beaconRandomness(signature) },
    roundStatement: { statement, message: roundStatementMessage(domain, statement) },
    attestationResult: {
      result,
      digest: attestationResultDigest(domain, result),
      proof: resultProof,
      evidence: attestationResultEvidence(result, resultProof),
      revocation,
      revocationDigest: platformRevocationDigest(domain, revocation),
    },
    evictions,
    measurements: published.map(({ publication, vector }) => {
      const { epoch, member, vectorId, salt } = publication;
      const commitment = commitmentTo(vectorId, salt);
      return {
        vector: fromUtf8(measurementVectorBytes(vector)),
        vectorId,
        commitment,
        commitmentDigest: measurementCommitmentDigest(domain, { epoch, member, commitment }),
        publication,
        publicationDigest: measurementPublicationDigest(domain, publication),
        publicationId: publicationId(publication),
      };
    }),
    epochRecord: {
      inputs: epochInputs,
      ...epochData,
      digest: epochRecordDigest(domain, epochData.record),
    },
    state: {
      head: stateHead,
      headMessage: stateHeadMessage(domain, stateHead),
      headSignature: toHex(signWithShare(share(0x12), fromHex(stateHeadMessage(domain, stateHead)))),
      keptDigest: stateKeptDigest(domain, stateHeadMessage(domain, stateHead), 4n),
      fenceRequest,
      fenceDigest: stateFenceDigest(domain, fenceRequest),
      write: stateWrite,
      writeDigest: stateWriteDigest(domain, stateWrite),
      promise,
      promiseDigest: statePromiseDigest(domain, promise),
    },
    placement: {
      app: b32(0x51),
      createdAt: 1_790_000_100n,
      clock,
      terms: [
        { now: 1_790_003_000n, termEpochs: 24n, term: term(1_790_003_000n, 24n) },
        { now: 1_790_200_000n, termEpochs: 24n, term: term(1_790_200_000n, 24n) },
        { now: 1_790_200_000n, termEpochs: 1n, term: term(1_790_200_000n, 1n) },
      ],
      seed: b32(0x71),
      startsAt: 1_790_000_100n,
      rules,
      workers: workers.map((worker) => ({
        ...worker,
        score: rendezvousScore(b32(0x71), b32(0x51), worker.workerId, worker.weight),
      })),
      hosts: placementOf({
        app: b32(0x51),
        rules,
        seed: b32(0x71),
        atStart: workers,
        startsAt: 1_790_000_100n,
        holdsNow: () => true,
      }),
    },
  };
}
