import assert from 'node:assert/strict';
import { createPublicKey, verify as verifySignature } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { type Bytes32, canonicalJson } from '@cloister/core';
import { sha256, toHex, utf8 } from '@cloister/crypto';
import { notesImage } from '../../examples/compose-app/notesImage.ts';
import { inRoot } from '../../scripts/lib/paths.ts';
import { type Scenario, ScenarioSkipped } from '../scenario.ts';
import { clientOf, textOf } from '../support/apps.ts';
import { cloisterJson } from '../support/programs.ts';
import { until } from '../support/until.ts';

const compose = inRoot('examples/compose-app/compose.yaml');
const containerBit = 1 << 3;

export const scenario: Scenario = {
  title:
    'Two containers of a compose file answer sealed calls, signed by dstack’s own SDK with a key of the app, and the receipt names the image that ran',
  timeoutMs: 180_000,
  async run({ network: start, folder, signal, note }) {
    const network = await start();
    const client = clientOf(network);
    const workers = await client.workers(signal);
    if (!workers.some(({ verified }) => ((verified?.kinds ?? 0) & containerBit) !== 0))
      throw new ScenarioSkipped('no worker here has an engine for containers: podman and runc, as root');

    note('an image is made without a registry, and deployed with the compose file');
    const archive = path.join(folder, 'notes.tar');
    const image = await notesImage(signal);
    fs.writeFileSync(archive, image);
    const deploy = [
      'deploy',
      compose,
      '--name',
      'compose-app',
      '--outbound',
      'worker:guest',
      '--image',
      `notes:1=${archive}`,
      '--network',
      network.file,
    ];
    const deployed = await cloisterJson<{ app: Bytes32; manifestId: Bytes32; kind: string }>(deploy, folder, signal);
    assert.deepEqual([deployed.code, deployed.json.kind], [0, 'container'], JSON.stringify(deployed.json));
    const { app, manifestId } = deployed.json;

    note('a call reaches one service, and through it the other');
    const body = new TextEncoder().encode('buy bread');
    const result = await until(
      'the app is placed, its image is checked, and it answers',
      async () => {
        const answer = await client.call(app, { method: 'POST', path: '/notes', body });
        const { code } = answer.receipt.details as { code?: string };
        if (code === 'KEYS_UNAVAILABLE' || code === 'IMAGE_ON_ITS_WAY') return undefined;
        assert.equal(answer.outcome, 'ok', textOf(answer));
        return answer;
      },
      { signal, withinMs: 120_000 },
    );
    assert.deepEqual(JSON.parse(textOf(result)), { notes: ['buy bread'] });

    note('the answer is signed with a key of the app’s own, and by nobody else’s word');
    const [signature, key] = ['notes-signature', 'notes-key'].map((name) => Buffer.from(headerOf(result, name), 'hex'));
    assert.ok(signature !== undefined && key !== undefined);
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: key.toString('base64url') };
    const publicKey = createPublicKey({ key: jwk, format: 'jwk' });
    assert.ok(verifySignature(undefined, result.body, publicKey, signature));
    assert.ok(!verifySignature(undefined, utf8('{"notes":[]}'), publicKey, signature));

    note('the receipt names image and engine; the proof holds');
    assert.equal(result.receipt.receipt.manifest, manifestId);
    const { kind, container, metering } = result.receipt.details as {
      kind: string;
      container: { engine: string; images: Record<string, string> };
      metering: { cpuMs: number; peakMemoryMiB: number };
    };
    // The image's configuration is the archive's first member.
    const configuration = image.subarray(512, 512 + Number.parseInt(image.toString('latin1', 124, 135), 8));
    const id = `sha256:${toHex(sha256(configuration)).slice(2)}`;
    assert.deepEqual([kind, container.engine, container.images], ['container', 'podman', { 'notes:1': id }]);
    assert.ok(metering.cpuMs > 0 && metering.peakMemoryMiB > 10, canonicalJson(metering));
    const proof = path.join(folder, 'proof.json');
    fs.writeFileSync(proof, JSON.stringify(client.proof(result, { answer: true })));
    const verdict = await cloisterJson<{ ok: boolean }>(['verify', proof, '--network', network.file], folder, signal);
    assert.deepEqual([verdict.code, verdict.json.ok], [0, true], JSON.stringify(verdict.json));

    note('what would break the walls is refused by its line, before anything is stored');
    const evil = path.join(folder, 'evil.yaml');
    const text = fs.readFileSync(compose, 'utf8').replace('image: notes:1', 'image: notes:1\n    privileged: true');
    fs.writeFileSync(evil, text);
    const refused = await cloisterJson<{ error: { code: string; message: string } }>(
      ['deploy', evil, '--image', `notes:1=${archive}`, '--network', network.file],
      folder,
      signal,
    );
    assert.equal(refused.json.error.code, 'COMPOSE_REFUSED');
    assert.match(refused.json.error.message, /^Line 5 .*privileged/);
  },
};

function headerOf({ headers }: { readonly headers: readonly (readonly [string, string])[] }, name: string): string {
  return headers.find(([known]) => known.toLowerCase() === name)?.[1] ?? '';
}
