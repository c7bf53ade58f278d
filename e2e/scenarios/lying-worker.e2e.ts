import assert from 'node:assert/strict';
import { generateSecp256k1, randomBytes, toHex, utf8 } from '@cloister/crypto';
import { ReceiptRefusedError } from '@cloister/sdk';
import type { Scenario } from '../scenario.ts';
import { clientOf, counterSource, deployFunction, textOf } from '../support/apps.ts';
import { HostileGateway } from '../support/hostileGateway.ts';
import { type Lie, LyingWorker } from '../support/lyingWorker.ts';
import { verifiedWorker } from '../support/rawCalls.ts';
import { refusedWith } from '../support/refusals.ts';
import { UnsafeForge } from '../support/unsafeForge.ts';

const other = toHex(randomBytes(32));

/** What it tells, and the step of the receipt's verification that does not hold. */
const lies: readonly (readonly [name: string, step: string, lie: Lie])[] = [
  ["another's signature", 'receipt-signature', { signer: generateSecp256k1() }],
  ['no signature', 'receipt-signature', { afterwards: (signed) => ({ ...signed, signature: `0x${'00'.repeat(65)}` }) }],
  ['a fee that was changed after signing', 'receipt-signature', changed({ fee: 1n })],
  ['a status that was changed after signing', 'receipt-signature', changed({ status: 1 })],
  ["another worker's id", 'receipt-signature', { afterwards: (signed) => ({ ...signed, workerId: other }) }],
  ["another chain's id", 'receipt-signature', { afterwards: (signed) => ({ ...signed, chainId: 1 }) }],
  ['another app', 'receipt-app', { receipt: { app: other } }],
  ['another manifest', 'receipt-manifest', { receipt: { manifest: other } }],
  ['no manifest, though all went well', 'receipt-manifest', { receipt: { manifest: `0x${'00'.repeat(32)}` } }],
  ['another context', 'receipt-context', { receipt: { context: other } }],
  ['another request', 'receipt-request', { receipt: { requestHash: other } }],
  ['another input', 'receipt-input', { receipt: { inputCommitment: other } }],
  ['another output', 'receipt-output', { receipt: { outputCommitment: other } }],
  ['another answer than it committed to', 'receipt-output', { body: utf8('another answer') }],
  ['details that it does not hash', 'receipt-details', { receipt: { detailsHash: other } }],
  ['another path', 'receipt-route', { details: { route: other } }],
  ['a fee that nobody agreed to', 'receipt-fee', { receipt: { fee: 1n, cumulativeFee: 1n } }],
  ['a status that does not exist', 'receipt-status', { receipt: { status: 200 } }],
];

export const scenario: Scenario = {
  title:
    'A registered worker that lies in its receipts is refused by the step that does not hold, and its answer is not used',
  async run({ network: start, note }) {
    const network = await start();
    const { app } = await deployFunction(network, 'lying-worker-counter', counterSource);
    const gateway = await HostileGateway.start(network.network.gateways[0] ?? '');
    try {
      const forge = await UnsafeForge.open(network, await verifiedWorker(clientOf(network)));
      const worker = await LyingWorker.register(network, forge);
      const context = toHex(randomBytes(32));
      const call = () =>
        gateway.during({ request: worker.serve }, () =>
          clientOf(network, { gateways: [gateway.url] }).call(app, { path: '/?size=1' }, { context }),
        );

      note('what holds is believed: the TEE is simulated, and says so');
      const believed = await call();
      assert.equal(textOf(believed), 'an answer that no code made');
      assert.equal(believed.worker.claims.simulated, true);

      for (const [name, step, lie] of lies) {
        note(name);
        worker.lie = lie;
        const error = await refusedWith('RECEIPT_REFUSED', call());
        assert.ok(error instanceof ReceiptRefusedError);
        assert.deepEqual([error.meta.step, error.steps.at(-1)?.ok], [step, false], name);
        assert.equal(gateway.sealed.length, 1, 'a lie is not asked for again');
      }

      note('a receipt that is none');
      for (const [trailer, code] of [
        [utf8('{}'), 'SCHEMA_MISMATCH'],
        [utf8('not JSON'), 'JSON_MALFORMED'],
        [randomBytes(64), 'JSON_MALFORMED'],
      ] as const) {
        worker.lie = { trailer };
        await refusedWith(code, call());
      }
    } finally {
      await gateway.stop();
    }
  },
};

function changed(receipt: object): Lie {
  return { afterwards: (signed) => ({ ...signed, receipt: { ...signed.receipt, ...receipt } }) };
}
