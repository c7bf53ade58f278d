import assert from 'node:assert/strict';
import { fromHex, toHex } from '@cloister/crypto';
import { createIssuer } from '../../examples/credit-score/issuer.ts';
import { scoreCreditFile } from '../../examples/credit-score/score.ts';
import { inRoot } from '../../scripts/lib/paths.ts';
import type { Scenario } from '../scenario.ts';
import { clientOf, deployFile, textOf } from '../support/apps.ts';
import { ChainControl } from '../support/chainControl.ts';
import {
  CreditLine,
  conspicuousFile,
  creditRequest,
  deployCreditScore,
  newBorrower,
  newNonce,
} from '../support/creditScore.ts';
import { refusedByContract } from '../support/refusals.ts';

const maxAgeBlocks = 100n;

export const scenario: Scenario = {
  title:
    'Only a file that its bureau signed is scored, and a contract takes only the answer that was made for it, once',
  async run({ network: start, note }) {
    const network = await start();
    const client = clientOf(network);
    const { issuer, deployed } = await deployCreditScore(network, 'e2e-credit-score');
    const { app, manifestId } = deployed;
    const policy = { app, manifests: [manifestId], maxAgeBlocks };
    const line = await CreditLine.deploy(network, policy);
    const [borrower, neighbour] = [await newBorrower(network), await newBorrower(network)];
    const file = conspicuousFile(borrower.address);
    const signed = await issuer.sign(file);

    note('the score is that of the same file in plain Node.js');
    const report = await client.call(app, creditRequest(signed, '/report'));
    assert.equal(report.outcome, 'ok');
    assert.deepEqual(JSON.parse(textOf(report)), { applicant: borrower.address, ...scoreCreditFile(file) });

    note('edited and unsigned files are refused, with a receipt');
    const forged = { ...signed, statement: signed.statement.replace('918273645546', '918273645547') };
    assert.notEqual(forged.statement, signed.statement);
    const stranger = await (await createIssuer()).sign(file);
    const unlike = "The file does not carry its issuer's signature";
    const refusals: readonly (readonly [name: string, file: object, reason: string])[] = [
      ['one digit changed', forged, unlike],
      ['another signature', { ...signed, signature: stranger.signature }, unlike],
      ['signed by another bureau', stranger, unlike],
      ['no signature', { statement: signed.statement }, 'The file is not signed'],
      ['an empty signature', { ...signed, signature: '' }, unlike],
      ['a plain file', file, 'The file is not signed'],
    ];
    for (const [name, hostile, reason] of refusals) {
      note(name);
      for (const path of ['/report', '/decision'] as const) {
        const refusal = await client.call(app, creditRequest(hostile, path));
        assert.deepEqual([refusal.outcome, refusal.status, refusal.ok], ['refused', 422, false], name);
        assert.deepEqual(JSON.parse(textOf(refusal)), { refused: reason }, name);
        assert.equal(refusal.receipt.receipt.manifest, manifestId, 'the function itself refused');
      }
    }

    note('the contract refuses what was not made for it');
    const nonce = newNonce();
    const context = line.contextFor(borrower.address, nonce);
    const answer = await client.call(app, creditRequest(signed, '/decision'), { context });
    const digit = answer.body.with(answer.body.length - 1, (answer.body.at(-1) ?? 0) ^ 1);
    const other = await CreditLine.deploy(network, { ...policy, maxAgeBlocks: maxAgeBlocks + 1n });
    await refusedByContract('CloisterConsumerOutputMismatch', line.open(borrower, answer, nonce, { body: digit }));
    await refusedByContract('CloisterConsumerWrongContext', line.open(neighbour, answer, nonce));
    await refusedByContract('CloisterConsumerWrongContext', other.open(borrower, answer, nonce));
    await refusedByContract('CloisterConsumerWrongContext', line.open(borrower, answer, nonce + 1n));
    await refusedByContract('CloisterConsumerWrongContext', line.open(borrower, report, nonce));

    note('the contract refuses what no worker signed');
    const { signature, receipt } = answer.receipt;
    const later = { fields: { blockNumber: receipt.blockNumber + 1_000n } };
    await refusedByContract('CloisterConsumerFromTheFuture', line.open(borrower, answer, nonce, later));
    const richer = { fields: { fee: 1n } };
    await refusedByContract('CloisterConsumerSignerNotActive', line.open(borrower, answer, nonce, richer));
    const bytes = fromHex(signature);
    const changed = toHex(bytes.with(64, bytes[64] === 27 ? 28 : 27));
    await refusedByContract(
      'CloisterConsumerSignerNotActive',
      line.open(borrower, answer, nonce, { signature: changed }),
    );
    const zeros = toHex(new Uint8Array(65));
    await refusedByContract(
      'CloisterConsumerSignatureInvalid',
      line.open(borrower, answer, nonce, { signature: zeros }),
    );

    note("the contract refuses a refusal, another app's answer, and a file about somebody else");
    const refused = await client.call(app, creditRequest(forged, '/decision'), { context });
    await refusedByContract('CloisterConsumerStatusNotOk', line.open(borrower, refused, nonce));
    const manifest = { env: { ISSUER_KEY: issuer.publicKey } };
    const copy = await deployFile(network, 'e2e-credit-copy', inRoot('examples/credit-score/function.ts'), manifest);
    const copied = await client.call(copy.app, creditRequest(signed, '/decision'), { context });
    await refusedByContract('CloisterConsumerWrongApp', line.open(borrower, copied, nonce));
    const theirs = line.contextFor(neighbour.address, nonce);
    const stolen = await client.call(app, creditRequest(signed, '/decision'), { context: theirs });
    await refusedByContract('CreditLineForeignFile', line.open(neighbour, stolen, nonce));

    note('the contract takes the answer once');
    await line.open(borrower, answer, nonce);
    await refusedByContract('CloisterConsumerContextUsed', line.open(borrower, answer, nonce));

    note('the contract refuses an answer that has grown old');
    const late = newNonce();
    const lateContext = line.contextFor(neighbour.address, late);
    const lateFile = await issuer.sign(conspicuousFile(neighbour.address));
    const stale = await client.call(app, creditRequest(lateFile, '/decision'), { context: lateContext });
    await new ChainControl(network).mine(Number(maxAgeBlocks) + 1);
    await refusedByContract('CloisterConsumerTooOld', line.open(neighbour, stale, late));

    note('the contract refuses a version that it was not told to trust');
    const upgraded = await deployFile(network, 'e2e-credit-score', inRoot('examples/credit-score/function.ts'), {
      env: { ...manifest.env, VERSION: '2' },
    });
    assert.deepEqual([upgraded.app, upgraded.version], [app, 2]);
    const fresh = await clientOf(network).call(app, creditRequest(lateFile, '/decision'), { context: lateContext });
    assert.deepEqual([fresh.outcome, fresh.receipt.receipt.manifest], ['ok', upgraded.manifestId], textOf(fresh));
    await refusedByContract('CloisterConsumerManifestNotAllowed', line.open(neighbour, fresh, late));
  },
};
