import { Aes256Gcm, CipherSuite as CoreSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import fc from 'fast-check';
import * as panva from 'hpke';
import { describe, expect, test } from 'vitest';
import {
  engine,
  fromHex,
  hpkeExport,
  hpkeOpen,
  hpkeSeal,
  keyScheduleContext,
  randomBytes,
  SecretBytes,
  setupRecipient,
  setupSender,
  toHex,
  utf8,
  type X25519KeyPair,
} from '../src/index.ts';

const core = new CoreSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
const other = new panva.CipherSuite(panva.KEM_DHKEM_X25519_HKDF_SHA256, panva.KDF_HKDF_SHA256, panva.AEAD_AES_256_GCM);
const label = utf8('cloister/input-salt: v1');

const bytesOf = (buffer: ArrayBuffer | Uint8Array): Uint8Array => new Uint8Array(buffer);
const copyOf = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);

/** The same steps by an independent library. */
type Library = {
  readonly name: string;
  send(
    recipientKey: Uint8Array,
    info: Uint8Array,
    aad: Uint8Array,
    text: Uint8Array,
  ): Promise<{ enc: Uint8Array; sealed: Uint8Array; exported: Uint8Array }>;
  receive(
    recipient: X25519KeyPair,
    info: Uint8Array,
    enc: Uint8Array,
    aad: Uint8Array,
    sealed: Uint8Array,
  ): Promise<{ text: Uint8Array; exported: Uint8Array }>;
};

const libraries: readonly Library[] = [
  {
    name: '@hpke/core',
    async send(recipientKey, info, aad, text) {
      const recipientPublicKey = await core.kem.deserializePublicKey(copyOf(recipientKey).buffer);
      const sender = await core.createSenderContext({ recipientPublicKey, info: copyOf(info).buffer });
      const sealed = bytesOf(await sender.seal(copyOf(text).buffer, copyOf(aad).buffer));
      return { enc: bytesOf(sender.enc), sealed, exported: bytesOf(await sender.export(copyOf(label).buffer, 32)) };
    },
    async receive(recipient, info, enc, aad, sealed) {
      const recipientKey = await core.kem.deserializePrivateKey(copyOf(recipient.secretKey.reveal()).buffer);
      const context = await core.createRecipientContext({
        recipientKey,
        enc: copyOf(enc).buffer,
        info: copyOf(info).buffer,
      });
      const text = bytesOf(await context.open(copyOf(sealed).buffer, copyOf(aad).buffer));
      return { text, exported: bytesOf(await context.export(copyOf(label).buffer, 32)) };
    },
  },
  {
    name: 'hpke',
    async send(recipientKey, info, aad, text) {
      const publicKey = await other.DeserializePublicKey(recipientKey);
      const { encapsulatedSecret, ctx } = await other.SetupSender(publicKey, { info });
      const sealed = await ctx.Seal(text, aad);
      return { enc: encapsulatedSecret, sealed, exported: await ctx.Export(label, 32) };
    },
    async receive(recipient, info, enc, aad, sealed) {
      const privateKey = await other.DeserializePrivateKey(recipient.secretKey.reveal());
      const publicKey = await other.DeserializePublicKey(recipient.publicKey);
      const ctx = await other.SetupRecipient({ privateKey, publicKey }, enc, { info });
      return { text: await ctx.Open(sealed, aad), exported: await ctx.Export(label, 32) };
    },
  },
];

describe.each(libraries)('interoperates with $name', (library) => {
  const someBytes = fc.uint8Array({ maxLength: 200 });

  test('their sender, our recipient', async () => {
    await fc.assert(
      fc.asyncProperty(someBytes, someBytes, someBytes, async (info, aad, text) => {
        const recipient = await engine.generateX25519();
        const { enc, sealed, exported } = await library.send(recipient.publicKey, info, aad, text);
        const context = await setupRecipient(recipient, await keyScheduleContext(info), enc);
        expect(bytesOf(await engine.aes256GcmOpen(context.key, context.nonce, aad, sealed))).toEqual(text);
        expect(await hpkeExport(context, label)).toEqual(exported);
      }),
      { numRuns: 12 },
    );
  });

  test('our sender, their recipient', async () => {
    await fc.assert(
      fc.asyncProperty(someBytes, someBytes, someBytes, async (info, aad, text) => {
        const recipient = await engine.generateX25519();
        const ephemeral = await engine.generateX25519();
        const context = await setupSender(recipient.publicKey, await keyScheduleContext(info), ephemeral);
        const sealed = await engine.aes256GcmSeal(context.key, context.nonce, aad, text);
        const theirs = await library.receive(recipient, info, ephemeral.publicKey, aad, sealed);
        expect(theirs.text).toEqual(text);
        expect(theirs.exported).toEqual(await hpkeExport(context, label));
      }),
      { numRuns: 12 },
    );
  });
});

describe('RFC 9180 appendix A.1.1: the key encapsulation does not depend on the AEAD', () => {
  const info = fromHex('4f6465206f6e2061204772656369616e2055726e');
  const pair = (publicKey: string, secretKey: string): X25519KeyPair => ({
    publicKey: fromHex(publicKey),
    secretKey: new SecretBytes(fromHex(secretKey)),
  });
  const ephemeral = pair(
    '37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431',
    '52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736',
  );
  const recipient = pair(
    '3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d',
    '4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8',
  );

  test('both sides derive the same context, and an independent library derives it from the same ephemeral key', async () => {
    const schedule = await keyScheduleContext(info);
    const sender = await setupSender(recipient.publicKey, schedule, ephemeral);
    expect(await setupRecipient(recipient, schedule, ephemeral.publicKey)).toEqual(sender);
    const ekm = {
      publicKey: await core.kem.deserializePublicKey(copyOf(ephemeral.publicKey).buffer),
      privateKey: await core.kem.deserializePrivateKey(copyOf(ephemeral.secretKey.reveal()).buffer),
    };
    const recipientPublicKey = await core.kem.deserializePublicKey(copyOf(recipient.publicKey).buffer);
    const theirs = await core.createSenderContext({ recipientPublicKey, info: copyOf(info).buffer, ekm });
    expect(toHex(bytesOf(theirs.enc))).toBe(toHex(ephemeral.publicKey));
    expect(await hpkeExport(sender, label)).toEqual(bytesOf(await theirs.export(copyOf(label).buffer, 32)));
    const text = utf8('Beauty is truth, truth beauty');
    const aad = utf8('Count-0');
    expect(await engine.aes256GcmSeal(sender.key, sender.nonce, aad, text)).toEqual(
      bytesOf(await theirs.seal(copyOf(text).buffer, copyOf(aad).buffer)),
    );
  });
});

describe('one message to a key', () => {
  const info = utf8('cloister/test: v1');

  test('opens for its recipient with the same info and associated data, also at an independent library', async () => {
    const recipient = await engine.generateX25519();
    const sealed = await hpkeSeal(recipient.publicKey, info, utf8('aad'), utf8('text'));
    expect(await hpkeOpen(recipient, info, utf8('aad'), sealed)).toEqual(utf8('text'));
    const recipientKey = await core.kem.importKey('raw', copyOf(recipient.secretKey.reveal()).buffer, false);
    const theirs = await core.createRecipientContext({
      recipientKey,
      enc: copyOf(sealed.subarray(0, 32)).buffer,
      info: copyOf(info).buffer,
    });
    expect(bytesOf(await theirs.open(copyOf(sealed.subarray(32)).buffer, copyOf(utf8('aad')).buffer))).toEqual(
      utf8('text'),
    );
  });

  test('opens for nobody else, under no other info or associated data, and not when changed or cut', async () => {
    const recipient = await engine.generateX25519();
    const sealed = await hpkeSeal(recipient.publicKey, info, utf8('aad'), utf8('text'));
    const flipped = sealed.slice();
    flipped[40] = (flipped[40] ?? 0) ^ 1;
    const failing = { code: 'AEAD_OPEN_FAILED' };
    await expect(hpkeOpen(await engine.generateX25519(), info, utf8('aad'), sealed)).rejects.toMatchObject(failing);
    await expect(hpkeOpen(recipient, utf8('other'), utf8('aad'), sealed)).rejects.toMatchObject(failing);
    await expect(hpkeOpen(recipient, info, utf8('other'), sealed)).rejects.toMatchObject(failing);
    await expect(hpkeOpen(recipient, info, utf8('aad'), flipped)).rejects.toMatchObject(failing);
    await expect(hpkeOpen(recipient, info, utf8('aad'), sealed.subarray(0, 40))).rejects.toMatchObject(failing);
    await expect(hpkeOpen(recipient, info, utf8('aad'), sealed.subarray(0, 31))).rejects.toMatchObject({
      code: 'INVALID_LENGTH',
    });
  });
});

describe('refuses', () => {
  test('an encapsulated key of small order', async () => {
    const recipient = await engine.generateX25519();
    const schedule = await keyScheduleContext(randomBytes(4));
    for (const enc of [new Uint8Array(32), new Uint8Array(32).fill(1, 0, 1)])
      await expect(setupRecipient(recipient, schedule, enc)).rejects.toMatchObject({ code: 'X25519_ZERO_RESULT' });
  });
});
