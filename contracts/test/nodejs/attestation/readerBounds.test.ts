import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { concatHex, type Hex, keccak256, padHex, sliceHex, stringToHex, toHex } from 'viem';
import { refusalOf } from '../../support/refused.ts';

// What each reader takes last before a bound, and refuses first behind it: every check of a reader stands alone here, while
// in a whole document another one often refuses the same.

const connection = await network.create();
const { read } = await connection.viem.deployContract('ReaderHarness', []);
const malformedDer = 'DerReaderMalformed';
const malformedJson = 'JsonReaderMalformed';
const filled = (count: number, byte = 0xab): Hex => `0x${byte.toString(16).padStart(2, '0').repeat(count)}`;
const text = (json: string) => [stringToHex(json)] as const;

async function says(expected: string, calls: readonly Promise<unknown>[]): Promise<void> {
  for (const [index, call] of calls.entries()) assert.equal((await refusalOf(call)) ?? 'ok', expected, `call ${index}`);
}

describe('DER', () => {
  const element = (header: Hex, length: number) => concatHex([header, filled(length)]);
  const enter = (der: Hex) => read.enter([der, 4n]);

  it('lengths in the one form that each has', async () => {
    for (const [header, length, start] of [
      ['0x0400', 0, 2n],
      ['0x047f', 127, 2n],
      ['0x048180', 128, 3n],
      ['0x0481ff', 255, 3n],
      ['0x04820100', 256, 4n],
      ['0x0483010000', 65_536, 5n],
    ] as const)
      assert.deepEqual(await enter(element(header, length)), [start, start + BigInt(length)]);
    await says(malformedDer, [
      enter('0x0480'),
      enter(element('0x04817f', 127)),
      enter(element('0x048200ff', 255)),
      enter(element('0x048300ffff', 65_535)),
      enter(element('0x048400010000', 65_536)),
      enter(element('0x040a', 9)),
      enter(element('0x048180', 127)),
      enter('0x0500'),
    ]);
  });

  it('ids of 1 to 31 bytes, of their own tag', async () => {
    const [id, next] = await read.oid(['0x0603551d0e']);
    assert.deepEqual([id >> 224n, next], [0x03551d0en, 5n]);
    assert.equal((await read.oid([element('0x061f', 31).replace(/ab$/, '01') as Hex]))[1], 33n);
    await says(malformedDer, [
      read.oid(['0x0403551d0e']),
      read.oid(['0x0600']),
      read.oid([element('0x0620', 32).replace(/ab$/, '01') as Hex]),
      read.oid(['0x0603551d']),
    ]);
  });

  it('numbers of at least a byte', async () => {
    assert.deepEqual(await read.unsigned(['0x020100']), [0n, 1n, 3n]);
    assert.deepEqual(await read.unsigned([concatHex(['0x022100', filled(32, 0xff)])]), [2n ** 256n - 1n, 32n, 35n]);
    await says(malformedDer, [read.unsigned(['0x0200']), read.unsigned([element('0x0221', 33)])]);
  });

  it('times that end where they may be read, of one of two tags', async () => {
    const utc = concatHex(['0x170d', stringToHex('230101000000Z')]);
    const general = concatHex(['0x180f', stringToHex('20500101000000Z')]);
    assert.deepEqual(await read.timeWithin([utc, 15n]), [BigInt(Date.UTC(2023, 0) / 1000), 15n]);
    assert.deepEqual(await read.timeWithin([general, 17n]), [BigInt(Date.UTC(2050, 0) / 1000), 17n]);
    await says(malformedDer, [
      read.timeWithin([utc, 14n]),
      read.timeWithin([general, 16n]),
      read.time([`0x19${general.slice(4)}`]),
      read.time([`0x16${utc.slice(4)}`]),
    ]);
  });

  it('flags that end where they may be read', async () => {
    assert.deepEqual(await read.flagWithin(['0x0101ff', 3n]), [true, 3n]);
    // What lies behind the end is none of its.
    assert.deepEqual(await read.flagWithin(['0x0101ff', 0n]), [false, 0n]);
    await says(malformedDer, [read.flagWithin(['0x0101ff', 2n]), read.flagWithin(['0x0101ff', 1n])]);
  });

  it('names that end with their last part', async () => {
    const part = concatHex(['0x310d300b0603550403', '0x0c04', stringToHex('name')]);
    const name = (header: Hex, ...parts: readonly Hex[]) => concatHex([header, ...parts]);
    assert.equal(await read.commonName([name('0x300f', part)]), keccak256(stringToHex('name')));
    const ending = concatHex(['0x310d300b0603550403', '0x0c04', '0x6e616d00']);
    await says(malformedDer, [
      // The last byte, zero, lies behind the end.
      read.commonName([sliceHex(name('0x300e', ending), 0, 16)]),
      read.commonName([name('0x300f', concatHex(['0x30', sliceHex(part, 1)]))]),
      read.commonName([name('0x300f', part.replace('550403', '550503') as Hex)]),
    ]);
  });
});

describe('dates', () => {
  const fromDigits = (digits: string) => read.fromDigits([BigInt(stringToHex(digits))]);

  it('of every month, of leap years, and the last second of all', async () => {
    const dates = ['20250101000000', '20250228235959', '20240229120000', '20000229000000', '99991231235959'];
    for (let month = 1; month <= 12; month += 1) {
      const last = new Date(Date.UTC(2025, month, 0)).getUTCDate();
      for (const day of [1, 28, last])
        dates.push(`2025${[month, day].map((n) => `${n}`.padStart(2, '0')).join('')}235959`);
    }
    for (const date of dates) {
      const iso = date.replace(/(....)(..)(..)(..)(..)(..)/, '$1-$2-$3T$4:$5:$6Z');
      assert.deepEqual(await fromDigits(date), [true, BigInt(Date.parse(iso) / 1000)], date);
    }
  });

  it('none that the calendar does not have', async () => {
    const wrong = ['19691231235959', '20250001000000', '20251301000000', '20250100000000', '20250132000000'];
    wrong.push('20250229000000', '21000229000000', '20250431000000', '20250631000000', '20250931000000');
    wrong.push('20251131000000', '20250101240000', '20250101006000', '20250101000060', '2025010100000:');
    // A digit more before it.
    wrong.push('120250101000000');
    for (const date of wrong) assert.deepEqual(await fromDigits(date), [false, 0n], date);
  });
});

describe('JSON', () => {
  it('numbers begin with a digit', async () => {
    assert.equal(await read.number([...text('255'), 255n]), 255n);
    await says(malformedJson, [read.number([...text('256'), 255n]), read.number([...text(':'), 255n])]);
    await says(malformedJson, [read.number([...text('/'), 255n]), read.number([...text('01'), 255n])]);
  });

  it('text ends within its bound, and every part of it is plain', async () => {
    const quoted = (count: number, more = '') => text(`"${'a'.repeat(count)}${more}"`);
    for (const count of [0, 1, 31, 32, 33, 63, 64]) await says('ok', [read.text([...quoted(count), 64n])]);
    for (const count of [65, 95, 96, 200]) await says(malformedJson, [read.text([...quoted(count), 64n])]);
    for (const wrong of ['\\', '\n', '\u007f', 'é'])
      for (const before of [0, 20, 31, 32, 40])
        await says(malformedJson, [
          read.text([...quoted(before, wrong), 255n]),
          read.text([...quoted(before, `${wrong}${'a'.repeat(40)}`), 255n]),
        ]);
    await says(malformedJson, [read.text([...text('abc"'), 64n]), read.text([...text('"abc'), 64n])]);
  });

  it('hexadecimal stands in quotes', async () => {
    assert.equal(await read.hexBytes([...text('"aB"'), 1n]), 0xabn);
    await says(
      malformedJson,
      ['xab"', '"abx', 'xabx', '"ag"', '"a@"', '"a/"'].map((json) => read.hexBytes([...text(json), 1n])),
    );
  });

  it('dates have their signs in their places', async () => {
    const date = '"2026-01-02T03:04:05Z"';
    assert.equal(await read.jsonTime([...text(date)]), BigInt(Date.UTC(2026, 0, 2, 3, 4, 5) / 1000));
    for (let at = 0; at < date.length; at += 1)
      if (!/\d/.test(date[at] ?? ''))
        await says(malformedJson, [read.jsonTime([...text(`${date.slice(0, at)}~${date.slice(at + 1)}`)])]);
  });
});

describe('levels', () => {
  const level = (sgx: Hex, pceSvn: Hex, tdx: Hex, status: Hex) => concatHex([sgx, pceSvn, tdx, status]);
  const none = filled(16, 0);

  it('of a TDX platform: every component, the PCE, and of the module what its version says', async () => {
    const content = concatHex([
      '0x00',
      level(`0x03${'00'.repeat(15)}`, '0x0005', `0x0909${'00'.repeat(13)}04`, '0x01'),
    ]);
    const status = (sgx: Hex, pceSvn: number, tdx: Hex) => read.statusOfTdx([content, sgx, pceSvn, tdx]);
    const sgx: Hex = `0x03${'00'.repeat(15)}`;
    assert.equal(await status(sgx, 5, `0x0909${'00'.repeat(13)}04`), 1);
    assert.equal(await status(none, 5, `0x0909${'00'.repeat(13)}04`), 0);
    assert.equal(await status(sgx, 4, `0x0909${'00'.repeat(13)}04`), 0);
    assert.equal(await status(sgx, 5, `0x0909${'00'.repeat(13)}03`), 0);
    // From version 1 on the module's two components are judged by its own levels.
    assert.equal(await status(sgx, 5, `0x0001${'00'.repeat(13)}04`), 1);
    assert.equal(await status(sgx, 5, `0x0900${'00'.repeat(13)}04`), 0);
  });

  it('of an SGX platform: every component, and the PCE', async () => {
    const content = concatHex(['0x00', `0x03${'00'.repeat(14)}07`, '0x0005', '0x02']);
    const status = (sgx: Hex, pceSvn: number) => read.statusOfSgx([content, sgx, pceSvn]);
    assert.equal(await status(`0x03${'00'.repeat(14)}07`, 5), 2);
    assert.equal(await status(`0x02${'00'.repeat(14)}07`, 5), 0);
    assert.equal(await status(`0x03${'00'.repeat(14)}06`, 5), 0);
    assert.equal(await status(`0x03${'00'.repeat(14)}07`, 4), 0);
  });

  it('end with the content, whatever lies behind it', async () => {
    const unreached = level(filled(16, 0xff), '0xffff', filled(16, 0xff), '0x01');
    const content = concatHex(['0x00', ...Array.from({ length: 10 }, () => unreached)]);
    const behind = concatHex(['0x0001', filled(62, 0)]);
    assert.deepEqual(await read.statusOfTdxBefore([content, behind, filled(16, 0xff)]), [0, 64n]);
  });

  it('of a module end with the module, and modules with their count', async () => {
    const module = (version: number, ...levels: readonly Hex[]) =>
      concatHex([toHex(version, { size: 1 }), filled(64, 0x11), toHex(levels.length, { size: 1 }), ...levels]);
    const content = concatHex(['0x02', module(1, '0x000502'), module(3), '0x000007']);
    assert.deepEqual(await read.module([content, 1, 5]), [1n, 2]);
    assert.deepEqual(await read.module([content, 1, 4]), [1n, 0]);
    assert.deepEqual(await read.module([content, 3, 9]), [70n, 0]);
    assert.deepEqual(await read.module([content, 0, 9]), [0n, 0]);
    // Version 5 would follow if there were a module.
    assert.deepEqual(await read.module(['0x0005', 5, 0]), [0n, 0]);
  });

  it('a module is its whole signer, and its attributes under their mask', async () => {
    const signer = filled(32, 0x22);
    const rest = filled(16, 0x33);
    const content = concatHex(['0x01', '0x01', signer, rest, filled(8, 0), '0xff00000000000000', '0x00']);
    const is = (...facts: readonly [Hex, Hex, Hex]) => read.isModule([content, ...facts]);
    assert.equal(await is(signer, rest, '0x0000000000000001'), true);
    assert.equal(await is(filled(32, 0x23), rest, '0x0000000000000000'), false);
    assert.equal(await is(signer, filled(16, 0x34), '0x0000000000000000'), false);
    assert.equal(await is(signer, rest, '0x0100000000000000'), false);
  });

  it('merged: the worse stands, outdated parts make a whole outdated, configuration stays visible', async () => {
    for (let platform = 1; platform <= 7; platform += 1)
      for (let part = 1; part <= 7; part += 1) {
        const outdated = platform < 3 ? 5 : 6;
        const expected = part === 5 && platform < 5 ? outdated : Math.max(platform, part);
        assert.equal(await read.merge([platform, part]), expected, `${platform} and ${part}`);
      }
  });

  it('of a QE end with the identity', async () => {
    const identity = (levels: Hex) => concatHex([filled(74, 0), levels]);
    assert.equal(await read.statusOfQe([identity('0x000801000402'), 8]), 1);
    assert.equal(await read.statusOfQe([identity('0x000801000402'), 7]), 2);
    assert.equal(await read.statusOfQe([identity('0x000801000402'), 3]), 0);
    assert.equal(await read.statusOfQe([padHex('0x', { size: 74 }), 9]), 0);
  });
});
