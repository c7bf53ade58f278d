// Runs outside the repository, on the packed packages, under each supported Node.js. Prints one line of JSON for each
// check: {"name","ms","ok","error"?}. A network file as argument adds the checks that need a running network.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import process from 'node:process';

const bytes32 = (byte) => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const address = (byte) => `0x${byte.toString(16).padStart(2, '0').repeat(20)}`;
const text = new TextEncoder();

const networkFile = {
  format: 'cloister-network-1',
  name: 'packed',
  chainId: 31337,
  contracts: {
    timelock: address(1),
    phaToken: address(2),
    imageRegistry: address(3),
    workerRegistry: address(4),
    appRegistry: address(5),
    gatekeeperCommittee: address(6),
    epochRecords: address(7),
    payments: address(0xd1),
    stakePools: address(0xd2),
    workerBonds: address(0xd3),
    slashing: address(0xd4),
    emission: address(0xd5),
    epochRewards: address(0xd6),
    storageRent: address(0xd7),
    governor: address(0xd8),
  },
  rpcs: ['http://127.0.0.1:1'],
  gateways: ['http://127.0.0.1:1'],
  trustRoots: [{ tee: 'tdx', spkiSha256: bytes32(0xaa), simulated: true, name: 'DEV root' }],
  networkKeys: null,
  simulated: true,
};

/** What must work from the packages alone. Add a line for what they export next. */
const checks = {
  'the sdk opens a network file': async () => {
    const { createClient, parseNetworkFile } = await import('@cloister/sdk');
    const client = createClient({ network: parseNetworkFile(networkFile) });
    assert.match(client.networkId, /^0x[0-9a-f]{64}$/);
    assert.throws(() => createClient({ network: { ...networkFile, more: 1 } }), { name: 'SchemaError' });
  },
  'a client that reaches nobody says so with a code': async () => {
    const { createClient, CloisterError } = await import('@cloister/sdk');
    await assert.rejects(createClient({ network: networkFile }).call(bytes32(1)), (error) => {
      assert.ok(error instanceof CloisterError);
      assert.match(error.code, /^[A-Z0-9_]+$/);
      return true;
    });
  },
  'a sealed request is opened by the worker’s side and by nobody twice': async () => {
    const { sealRequest } = await import('@cloister/channel/client');
    const { KeyRing } = await import('@cloister/channel/worker');
    const { randomBytes, SecretBytes, toBase64Url } = await import('@cloister/crypto');
    const ring = new KeyRing();
    const { config } = await ring.rotate(1_000, 2_000);
    const sealed = await sealRequest({
      keyConfig: config,
      call: {
        app: bytes32(1),
        manifest: bytes32(2),
        callId: toBase64Url(randomBytes(16)),
        clientKey: new SecretBytes(randomBytes(32)),
        context: bytes32(0),
        maxFee: 0n,
      },
      request: { method: 'POST', path: '/', headers: [], body: text.encode('private') },
    });
    const opened = await ring.open(sealed.encapsulated, 1_001);
    assert.equal(new TextDecoder().decode(opened.request.body), 'private');
    await assert.rejects(ring.open(sealed.encapsulated, 1_001), { name: 'ChannelError' });
  },
  'hashes and signatures agree with known values': async () => {
    const { addressOf, fromHex, keccak256, recoverAddress, SecretBytes, signDigest, toHex } = await import(
      '@cloister/crypto'
    );
    const digest = keccak256(text.encode(''));
    assert.equal(toHex(digest), '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470');
    const secret = new SecretBytes(fromHex(bytes32(0x11)));
    assert.equal(recoverAddress(digest, signDigest(secret, digest)), addressOf(secret));
  },
  'evidence that is none is refused': async () => {
    const { parseQuote } = await import('@cloister/attestation/verify');
    assert.throws(() => parseQuote(new Uint8Array(100)), { name: 'AttestationError' });
  },
};

/** What must work against a running network. */
const checksOnNetwork = {
  'every listed worker holds what it claims': async (network) => {
    const { createClient } = await import('@cloister/sdk');
    const workers = await createClient({ network }).workers();
    assert.ok(workers.length > 0);
    for (const worker of workers) assert.equal(worker.refusal, undefined);
  },
  'an own function is deployed, called, and its proof verified': async (network) => {
    const { createClient } = await import('@cloister/sdk');
    const client = createClient({ network });
    const code = text.encode(
      'export default { async fetch(request) { return new Response((await request.text()).toUpperCase()); } };',
    );
    const { app } = await client.deploy({
      code,
      name: `packed-${process.versions.node.split('.')[0]}`,
      account: process.env.CLOISTER_KEY,
    });
    const result = await client.call(app, { method: 'POST', body: text.encode('from outside') });
    assert.equal(new TextDecoder().decode(result.body), 'FROM OUTSIDE');
    const proof = client.proof(result, { answer: true });
    const verified = await client.verify(JSON.parse(JSON.stringify(proof)));
    assert.equal(verified.ok, true);
  },
};

const [file] = process.argv.slice(2);
const network = file === undefined ? undefined : JSON.parse(fs.readFileSync(file, 'utf8'));
const chosen = network === undefined ? checks : { ...checks, ...checksOnNetwork };
for (const [name, check] of Object.entries(chosen)) {
  const started = performance.now();
  const outcome = await check(network).then(
    () => ({ ok: true }),
    (error) => ({ ok: false, error: error instanceof Error ? error.stack : String(error) }),
  );
  process.stdout.write(`${JSON.stringify({ name, ms: performance.now() - started, ...outcome })}\n`);
}
