import { FrameMux, type FrameStream, parseFrame } from '@cloister/channel/frame';
import { utf8 } from '@cloister/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { framePair, pattern, rawFrame, readAll, settle } from './framePair.ts';

const windowBytes = 262_144;

function dataBytes(frames: readonly Uint8Array[], streamId?: number): number {
  return frames
    .map((frame) => parseFrame(frame))
    .filter(
      ({ type, streamId: id }) => (type === 'data' || type === 'end') && (streamId === undefined || id === streamId),
    )
    .reduce((sum, { payload }) => sum + payload.length, 0);
}

describe('credit', () => {
  test('a reader that never reads is sent 64 kB and no more', async () => {
    const { gateway } = framePair();
    const stream = gateway.mux.openStream(utf8(''));
    let written = false;
    void stream.write(pattern(1_000_000)).then(
      () => {
        written = true;
      },
      () => {},
    );
    await settle();
    expect(dataBytes(gateway.sent)).toBe(65_536);
    expect(written).toBe(false);
    gateway.mux.close();
  });

  test('a slow reader never has more than its window waiting, and gets everything', async () => {
    const { gateway, worker } = framePair();
    const body = pattern(3_000_000);
    const stream = gateway.mux.openStream(utf8(''));
    const writing = stream.write(body).then(() => stream.end());
    await settle();
    const reader = (worker.streams[0] ?? expect.fail())[Symbol.asyncIterator]();
    const chunks: Uint8Array[] = [];
    let taken = 0;
    for (;;) {
      const step = await reader.next();
      if (step.done === true) break;
      await settle();
      expect(dataBytes(gateway.sent) - taken).toBeLessThanOrEqual(windowBytes);
      taken += step.value.length;
      chunks.push(step.value);
    }
    await writing;
    expect(Buffer.compare(Buffer.concat(chunks), body)).toBe(0);
  });

  test('all windows together stay within the buffer, and nobody starves', async () => {
    const limits = { maxStreams: 8, maxBufferedBytes: 8 * 131_072 + 300_000 };
    const { gateway, worker } = framePair({ worker: { limits } });
    const bodies = Array.from({ length: 8 }, (_, index) => pattern(700_000, index));
    const streams = bodies.map(() => gateway.mux.openStream(utf8('')));
    const writes = streams.map((stream, index) =>
      stream.write(bodies[index] ?? expect.fail()).then(() => stream.end()),
    );
    await settle();
    const readers = worker.streams.map((stream) => stream[Symbol.asyncIterator]());
    const read = worker.streams.map(() => [] as Uint8Array[]);
    for (let open = readers.length; open > 0; ) {
      open = 0;
      for (const [index, reader] of readers.entries()) {
        const step = await reader.next();
        if (step.done === true) continue;
        open += 1;
        read[index]?.push(step.value);
        expect(worker.mux.reservedBytes).toBeLessThanOrEqual(limits.maxBufferedBytes);
      }
      await settle();
    }
    await Promise.all(writes);
    for (const [index, body] of bodies.entries())
      expect(Buffer.compare(Buffer.concat(read[index] ?? []), body)).toBe(0);
    for (const stream of worker.streams) await stream.end();
    expect(worker.mux.reservedBytes).toBe(0);
  });

  test('limits that could not hold their streams are refused at once', () => {
    expect(
      () => new FrameMux({ role: 'worker', send: () => {}, limits: { maxStreams: 1000, maxBufferedBytes: 1_000_000 } }),
    ).toThrow(RangeError);
  });

  test('leaving the loop early drops the rest and gives no more credit', async () => {
    const { gateway, worker } = framePair();
    const stream = gateway.mux.openStream(utf8(''));
    void stream.write(pattern(1_000_000)).catch(() => {});
    await settle();
    const other = worker.streams[0] ?? expect.fail();
    for await (const _ of other) break;
    await settle();
    expect(dataBytes(gateway.sent)).toBeLessThanOrEqual(windowBytes);
    await other.end(utf8('no, thanks'));
    expect(Buffer.from(await readAll(stream)).toString()).toBe('no, thanks');
    stream.reset('cancelled', 'understood');
    await settle();
    expect([gateway.mux.reservedBytes, worker.mux.reservedBytes]).toEqual([0, 0]);
  });

  test('bytes survive any sizes of writes and any pace of reading', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 120_000 }), { maxLength: 12 }),
        fc.array(fc.boolean(), { maxLength: 12 }),
        async (sizes, pauses) => {
          const { gateway, worker } = framePair();
          const stream = gateway.mux.openStream(utf8(''));
          const writing = (async () => {
            for (const [index, size] of sizes.entries()) await stream.write(pattern(size, index));
            await stream.end();
          })();
          await settle();
          const chunks: Uint8Array[] = [];
          for await (const chunk of worker.streams[0] ?? expect.fail()) {
            chunks.push(chunk);
            if (pauses[chunks.length] === true) await settle();
          }
          await writing;
          expect(
            Buffer.compare(Buffer.concat(chunks), Buffer.concat(sizes.map((size, index) => pattern(size, index)))),
          ).toBe(0);
          gateway.mux.close();
          worker.mux.close();
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('the transport', () => {
  /** A gateway whose transport takes one frame at a time, when told. */
  function slowGateway() {
    const waiting: (() => void)[] = [];
    const pair = framePair({ gateway: { send: () => new Promise<void>((resolve) => waiting.push(resolve)) } });
    const take = async () => {
      waiting.shift()?.();
      await Promise.resolve();
      await Promise.resolve();
      await Promise.resolve();
    };
    return { ...pair, take };
  }

  test('when it is full, writes wait', async () => {
    const { gateway, take } = slowGateway();
    const stream = gateway.mux.openStream(utf8(''));
    let done = false;
    void stream.write(utf8('x')).then(() => {
      done = true;
    });
    await settle();
    expect([gateway.sent.length, done]).toEqual([1, false]);
    await take();
    expect([gateway.sent.length, done]).toEqual([2, true]);
    gateway.mux.close();
  });

  test('streams take turns: a small one waits for one chunk of each other, not for all they have', async () => {
    const { gateway, take } = slowGateway();
    const bulk = [0, 1, 2].map(() => gateway.mux.openStream(utf8('')));
    const small = gateway.mux.openStream(utf8(''));
    for (let frame = 0; frame < 4; frame++) await take();
    gateway.mux.sendControl(utf8('{}'));
    for (const stream of bulk) void stream.write(pattern(60_000)).catch(() => {});
    void small.write(utf8('token')).catch(() => {});
    for (let frame = 0; frame < 40; frame++) await take();
    const order = gateway.sent.map((frame) => parseFrame(frame)).filter(({ type }) => type === 'data');
    expect(order.findIndex(({ streamId }) => streamId === small.id)).toBe(3);
    expect(order.slice(0, 3).map(({ payload }) => payload.length)).toEqual([16_384, 16_384, 16_384]);
    expect(order.slice(4, 10).map(({ streamId }) => streamId)).toEqual([1, 3, 5, 1, 3, 5]);
    for (const stream of bulk) expect(dataBytes(gateway.sent, stream.id)).toBe(60_000);
    gateway.mux.close();
  });

  test('a peer that sends but does not read is cut off before its replies pile up', () => {
    const sent: Uint8Array[] = [];
    const closed: unknown[] = [];
    const mux = new FrameMux({
      role: 'worker',
      send: (frame) => {
        sent.push(frame);
        return new Promise(() => {});
      },
      onClose: (error) => closed.push(error),
    });
    for (let id = 1; !mux.closed && id < 1_000_000; id += 2) mux.receive(rawFrame(id, 1));
    expect(closed).toMatchObject([{ code: 'PEER_NOT_READING' }]);
    expect(sent.reduce((sum, frame) => sum + frame.length, 0)).toBeLessThan(300_000);
  });

  test('of pings that arrive while it is full only the last is answered', async () => {
    const { worker, gateway, take } = slowGateway();
    gateway.mux.sendControl(utf8('{}'));
    for (let ping = 0; ping < 1000; ping++) gateway.mux.receive(rawFrame(0, 7, `ping${String(ping).padStart(4, '0')}`));
    expect(gateway.sent.length).toBe(1);
    await take();
    expect(gateway.sent.slice(1).map((frame) => Buffer.from(parseFrame(frame).payload).toString())).toEqual([
      'ping0999',
    ]);
    expect(worker.mux.closed).toBe(false);
  });

  test('too many writes that nobody awaits are refused', async () => {
    const { gateway } = slowGateway();
    const stream = gateway.mux.openStream(utf8(''));
    const writes = Array.from({ length: 65 }, () => stream.write(utf8('x')));
    await expect(writes[64]).rejects.toMatchObject({ code: 'STREAM_WRITES_UNAWAITED' });
    gateway.mux.close();
    await Promise.allSettled(writes);
  });
});

describe('memory', () => {
  test('many tiny frames and slices of large buffers are held in about as many bytes as they carry', async () => {
    const { gateway } = framePair({ hold: true });
    const stream: FrameStream = gateway.mux.openStream(utf8(''));
    const socketRead = new Uint8Array(65_536);
    socketRead.set(rawFrame(1, 3, 'x'));
    for (let frame = 0; frame < 20_000; frame++) gateway.mux.receive(socketRead.subarray(0, 9));
    gateway.mux.receive(rawFrame(1, 4));
    let chunks = 0;
    let held = 0;
    for await (const chunk of stream) {
      chunks += 1;
      held += chunk.buffer.byteLength;
    }
    expect(chunks).toBeLessThanOrEqual(6);
    expect(held).toBeLessThanOrEqual(40_000);
    gateway.mux.close();
  });
});
