// Writes vectors/records.json, the records of packages/core over fixed inputs, vectors/committee.json, vectors/state.json,
// vectors/payments.json, vectors/bridge.json and vectors/emission.json. The
// contract tests and the tests of the packages read the same files. Run it when a form changes on purpose, and say so in the commit.
// Another folder may be given as argument; `npm run check` compares that way.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  appId,
  blobClaimDigest,
  commitBody,
  contextHash,
  domainSeparator,
  dstackImageId,
  dstackMrConfigId,
  functionManifest,
  gatewayHelloDigest,
  imageRecipeId,
  keyConfigDigest,
  manifestId,
  mrConfigIdOf,
  networkFileId,
  priceQuoteDigest,
  readMrConfigId,
  receiptDigest,
  referencedImageId,
  signedReceiptToJson,
  subjectOf,
  tdxImageId,
  workerBindingHash,
  workerId,
} from '@cloister/core';
import { addressOf, fromHex, SecretBytes, signDigest, toHex } from '@cloister/crypto';
import { addr, b32, domain, imageRecipe, network, receipt } from '../packages/core/test/helpers.ts';
import { bridgeVectors } from './lib/bridgeVectors.ts';
import { committeeVectors } from './lib/committeeVectors.ts';
import { emissionVectors } from './lib/emissionVectors.ts';
import { inRoot } from './lib/paths.ts';
import { paymentVectors } from './lib/paymentVectors.ts';
import { stateVectors } from './lib/stateVectors.ts';

const secret = new SecretBytes(fromHex(b32(0x11)));
const ids = {
  chainId: 31337,
  registry: domain.registry,
  operator: addr(0x22),
  index: '3',
  owner: addr(0x33),
  salt: b32(0x44),
};
const context = {
  chainId: 31337,
  consumer: addr(0x55),
  subject: subjectOf(addr(0x66)),
  purpose: b32(0x12),
  nonce: '9',
};
const binding = {
  chainId: 31337,
  registry: domain.registry,
  operator: addr(0x22),
  receiptSigner: addressOf(secret),
  networkKeysHash: b32(0),
};
const words48 = (byte: number) => toHex(new Uint8Array(48).fill(byte));
const image = { mrtd: words48(1), rtmr0: words48(2), rtmr1: words48(3), rtmr2: words48(4) };
const registers = {
  mrtd: fromHex(image.mrtd),
  rtmr0: fromHex(image.rtmr0),
  rtmr1: fromHex(image.rtmr1),
  rtmr2: fromHex(image.rtmr2),
};
const composeHash = b32(0xc5);
/** Each form of MRCONFIGID, what lies between them, and what is neither. */
const mrConfigIds = [
  new Uint8Array(48),
  mrConfigIdOf(b32(0x1a)),
  mrConfigIdOf(`0x01${'1a'.repeat(31)}`),
  dstackMrConfigId(composeHash),
  dstackMrConfigId(`0x${'00'.repeat(31)}01`),
  dstackMrConfigId(`0x${'c5'.repeat(31)}00`),
  dstackMrConfigId(composeHash).with(0, 2),
  dstackMrConfigId(composeHash).with(0, 0),
  dstackMrConfigId(composeHash).with(33, 1),
  dstackMrConfigId(composeHash).with(47, 1),
  mrConfigIdOf(b32(0x1a)).with(32, 1),
  mrConfigIdOf(b32(0x1a)).with(47, 1),
].map((mrConfigId) => ({
  mrConfigId: toHex(mrConfigId),
  ...(readMrConfigId(mrConfigId) ?? { configId: null, composeHash: null }),
}));
const body = toHex(new TextEncoder().encode('private answer'));
const digest = receiptDigest(domain, receipt);
const signed = signedReceiptToJson({
  format: 'cloister-receipt-1',
  chainId: domain.chainId,
  registry: domain.registry,
  workerId: workerId(ids.chainId, ids.registry, ids.operator, 3n),
  receipt,
  signature: toHex(signDigest(secret, fromHex(digest))),
  details: { kind: 'function' },
});
const statement = { configHash: b32(0x21), notBefore: '1790000000', notAfter: '1790021600' };
const hello = { workerId: b32(0x31), gateway: 'http://127.0.0.1:8080', nonce: b32(0x32) };
const blobClaim = {
  app: b32(0x41),
  blobs: [b32(0x42), b32(0x43)],
  gateway: 'http://127.0.0.1:8080',
  epoch: 7,
  keep: true,
};
const quote = {
  perCall: 1n,
  perCpuMs: 2n,
  perGiBSecond: 3n,
  perOutputKiB: 4n,
  ...{ perInputToken: 5n, perOutputToken: 6n },
  notAfter: 1_790_021_600n,
};
const manifest = functionManifest({ name: 'hello', code: { sha256: b32(1), bytes: 100 } });

const vectors = {
  comment: 'Record forms, version 1. Hashes are keccak256 over abi.encode unless said; tags are ABI strings.',
  ids: {
    input: ids,
    workerId: workerId(ids.chainId, ids.registry, ids.operator, BigInt(ids.index)),
    appId: appId(ids.owner, ids.salt),
    context: { input: context, hash: contextHash({ ...context, nonce: BigInt(context.nonce) }) },
  },
  binding: { input: binding, hash: workerBindingHash(binding) },
  image: { input: image, imageId: tdxImageId(registers) },
  dstackImage: { input: { ...image, composeHash }, imageId: dstackImageId(registers, composeHash) },
  mrConfigIds,
  imageRecipe: {
    json: imageRecipe,
    id: imageRecipeId(imageRecipe),
    imageIds: imageRecipe.references.map(referencedImageId),
  },
  commitment: { salt: b32(0x13), body, commitment: commitBody(b32(0x13), fromHex(body)) },
  receipt: { signed, domainSeparator: domainSeparator(domain), digest, signer: addressOf(secret) },
  keyConfig: {
    domain,
    statement,
    digest: keyConfigDigest(domain, {
      configHash: b32(0x21),
      notBefore: BigInt(statement.notBefore),
      notAfter: BigInt(statement.notAfter),
    }),
  },
  priceQuote: { domain, quote, digest: priceQuoteDigest(domain, quote) },
  blobClaim: { domain, claim: blobClaim, digest: blobClaimDigest(domain, blobClaim) },
  gatewayHello: { domain, hello, digest: gatewayHelloDigest(domain, hello) },
  manifest: { json: manifest, id: manifestId(manifest) },
  networkFile: { json: network, id: networkFileId(network) },
};
const folder = process.argv[2] ?? inRoot('vectors');
const write = (name: string, value: object) =>
  writeFileSync(path.join(folder, name), `${JSON.stringify(value, decimal, 2)}\n`);
write('records.json', vectors);
write('committee.json', await committeeVectors());
write('state.json', await stateVectors());
write('payments.json', paymentVectors());
write('emission.json', emissionVectors());
write('bridge.json', bridgeVectors());

function decimal(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
