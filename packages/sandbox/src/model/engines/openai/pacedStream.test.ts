import { expect, test } from 'vitest';
import { asciiJson, paddedJson } from './asciiJson.ts';
import { event, lastEvent, pacedStream, pieces, streamSizes } from './pacedStream.ts';

const lengths = (events: string): number[] => pieces(events).map(({ length }) => length);

/** The data of all events, as a reader of event streams sees them. */
const dataOf = (text: string): string[] =>
  text
    .split('\n\n')
    .filter((block) => block.startsWith('data: '))
    .map((block) => block.slice('data: '.length));

test('every length of events goes out in pieces of the three sizes, whole', () => {
  for (
    let length = 0;
    length < 20_000;
    length = length < 600 || (length > 8000 && length < 8400) ? length + 1 : length + 97
  ) {
    const events = 'x'.repeat(length);
    expect(lengths(events).every((size) => streamSizes.includes(size as never))).toBe(true);
    expect(pieces(events).join('').startsWith(events)).toBe(true);
  }
});

test('what fills a piece is a comment', () => {
  const events = `${event({ text: 'a' })}${event({ text: 'b' })}`;
  expect(dataOf(pieces(events).join(''))).toEqual(['{"text":"a"}', '{"text":"b"}']);
  expect(dataOf(pieces('').join(''))).toEqual([]);
});

test('two answers with as many ticks look the same, whatever they say and however it came', async () => {
  const capture = async (words: readonly string[]): Promise<number[]> => {
    const end = Promise.withResolvers<void>();
    const queue = [...words];
    let tick = 0;
    const found: number[] = [];
    const stream = pacedStream(
      () => {
        const word = queue.shift();
        return word === undefined ? lastEvent : word === '' ? '' : event({ content: word });
      },
      end.promise,
      async () => {
        tick += 1;
        if (tick > words.length) end.resolve();
        await Promise.resolve();
      },
    );
    for await (const piece of stream) found.push(Buffer.byteLength(piece));
    return found;
  };
  const short = await capture(['a', '', 'b', 'I']);
  const long = await capture(['antidisestablishmentarianism', 'ünïcödé 你好', '\u{1f600}', 'supercalifragilistic']);
  expect(short).toEqual(long);
  expect(new Set(short)).toEqual(new Set([512]));
});

test('a failure reaches the reader, after nothing', async () => {
  const end = Promise.reject(new Error('broke'));
  const read = async (): Promise<void> => {
    for await (const _ of pacedStream(
      () => 'x',
      end,
      async () => {},
    ));
  };
  await expect(read()).rejects.toThrow('broke');
});

test('JSON is ASCII, the same value, and padded by spaces', () => {
  const value = { text: 'ü \u{1f600} \u007f"\\' };
  expect(asciiJson(value)).toMatch(/^[\x20-\x7e]+$/);
  expect(JSON.parse(asciiJson(value))).toEqual(value);
  expect(paddedJson(value)).toHaveLength(2048);
  expect(JSON.parse(paddedJson({ text: 'x'.repeat(5000) })).text).toHaveLength(5000);
});
