import { encodeFrame, FrameMux, parseFrame } from '@cloister/channel/frame';
import { utf8 } from '@cloister/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { framePair, pattern, rawFrame, readAll, settle } from './framePair.ts';

describe('streams', () => {
  test('carry header, head and bytes both ways', async () => {
    const { gateway, worker } = framePair({
      worker: {
        onStream: async (stream) => {
          const request = await readAll(stream);
          stream.sendHead(utf8('head'));
          await stream.write(request);
          await stream.end(utf8('!'));
        },
      },
    });
    const body = pattern(1_000_000);
    const stream = gateway.mux.openStream(utf8('hi'));
    const writing = stream.write(body).then(() => stream.end());
    expect(await stream.head()).toEqual(utf8('head'));
    const answer = await readAll(stream);
    await writing;
    expect(Buffer.compare(answer, Buffer.concat([body, utf8('!')]))).toBe(0);
    expect(worker.streams[0]?.header).toEqual(utf8('hi'));
    await settle();
    expect([gateway.mux.streamCount, worker.mux.streamCount]).toEqual([0, 0]);
    expect([gateway.mux.reservedBytes, worker.mux.reservedBytes]).toEqual([0, 0]);
  });

  test('a small exchange costs four frames and no credit', async () => {
    const { gateway, worker } = framePair({
      worker: {
        onStream: async (stream) => {
          const request = await readAll(stream);
          stream.sendHead(utf8('h'));
          await stream.end(request);
        },
      },
    });
    const stream = gateway.mux.openStream(utf8('o'));
    await stream.end(pattern(1024));
    await readAll(stream);
    await settle();
    expect(gateway.sent.map((frame) => parseFrame(frame).type)).toEqual(['open', 'end']);
    expect(worker.sent.map((frame) => parseFrame(frame).type)).toEqual(['head', 'end']);
  });

  test('half-close leaves the other direction open', async () => {
    const { gateway, worker } = framePair();
    const stream = gateway.mux.openStream(utf8(''));
    await stream.end(utf8('question'));
    await settle();
    const other = worker.streams[0];
    if (other === undefined) throw new Error('no stream');
    expect(await readAll(other)).toEqual(Buffer.from('question'));
    await other.write(utf8('one'));
    await other.write(utf8('two'));
    await other.end();
    expect(Buffer.from(await readAll(stream)).toString()).toBe('onetwo');
    await expect(stream.write(utf8('late'))).rejects.toMatchObject({ code: 'STREAM_ENDED' });
  });

  test('ids go up by two on each side and are never used twice', async () => {
    const { gateway, worker } = framePair();
    const ids: number[] = [];
    for (let round = 0; round < 300; round++) {
      const stream = gateway.mux.openStream(utf8(''));
      ids.push(stream.id);
      stream.reset('cancelled', '');
    }
    expect(ids).toEqual(ids.map((_, index) => 1 + 2 * index));
    expect(worker.mux.openStream(utf8('')).id).toBe(2);
    await settle();
    expect(worker.mux.closed).toBe(false);
    expect(gateway.streams.length).toBe(1);
  });

  test('a head comes first, once, from the acceptor', async () => {
    const { gateway, worker } = framePair();
    const stream = gateway.mux.openStream(utf8(''));
    expect(() => stream.sendHead(utf8(''))).toThrow(expect.objectContaining({ code: 'STREAM_HEAD_MISPLACED' }));
    await settle();
    await worker.streams[0]?.write(utf8('data'));
    expect(() => worker.streams[0]?.sendHead(utf8(''))).toThrow(
      expect.objectContaining({ code: 'STREAM_HEAD_MISPLACED' }),
    );
    await expect(stream.head()).rejects.toMatchObject({ code: 'STREAM_NO_HEAD' });
  });

  test('more streams than allowed are refused, and the connection goes on', async () => {
    const { gateway, worker } = framePair({ worker: { limits: { maxStreams: 2 } } });
    const streams = [1, 2, 3].map(() => gateway.mux.openStream(utf8('')));
    await settle();
    expect(worker.streams.length).toBe(2);
    await expect(streams[2]?.head()).rejects.toMatchObject({ code: 'STREAM_RESET', resetCode: 'refused' });
    expect(gateway.mux.closed).toBe(false);
    const own = framePair({ gateway: { limits: { maxStreams: 1 } } });
    own.gateway.mux.openStream(utf8(''));
    expect(() => own.gateway.mux.openStream(utf8(''))).toThrow(expect.objectContaining({ code: 'STREAM_LIMIT' }));
  });

  test('without a handler every stream is refused', async () => {
    const sent: string[] = [];
    const mux = new FrameMux({ role: 'gateway', send: (frame) => void sent.push(parseFrame(frame).type) });
    mux.receive(encodeFrame('open', 2, utf8('')));
    expect(sent).toEqual(['reset']);
    expect(mux.streamCount).toBe(0);
    mux.close();
  });
});

describe('resets', () => {
  test('reach readers, writers, waiting heads and the signal of the other side, with code and reason', async () => {
    const { gateway, worker } = framePair();
    const stream = gateway.mux.openStream(utf8(''));
    await settle();
    const other = worker.streams[0];
    if (other === undefined) throw new Error('no stream');
    const failures = [readAll(other), other.write(pattern(400_000))];
    const { signal } = other;
    stream.reset('cancelled', 'the client left');
    for (const failure of failures)
      await expect(failure).rejects.toMatchObject({
        code: 'STREAM_RESET',
        meta: { resetCode: 'cancelled', reason: 'the client left', by: 'peer' },
      });
    expect(signal.aborted).toBe(true);
    await expect(stream.head()).rejects.toMatchObject({ meta: { by: 'us' } });
    await settle();
    expect([gateway.mux.streamCount, worker.mux.streamCount]).toEqual([0, 0]);
  });

  test('after the peer ended, its reset stops our sending but leaves what it sent', async () => {
    const { gateway, worker } = framePair();
    const stream = gateway.mux.openStream(utf8(''));
    const writing = stream.write(pattern(400_000));
    await settle();
    const other = worker.streams[0];
    other?.sendHead(utf8('413'));
    await other?.end(utf8('too large'));
    other?.reset('cancelled', 'enough');
    await expect(writing).rejects.toMatchObject({ code: 'STREAM_RESET' });
    expect(await stream.head()).toEqual(utf8('413'));
    expect(Buffer.from(await readAll(stream)).toString()).toBe('too large');
    expect(stream.signal.aborted).toBe(true);
    expect([gateway.mux.streamCount, worker.mux.streamCount]).toEqual([0, 0]);
  });

  test('an aborted signal resets; one that is already aborted opens nothing', async () => {
    const { gateway, worker } = framePair();
    const abort = new AbortController();
    gateway.mux.openStream(utf8(''), { signal: abort.signal });
    await settle();
    const reading = readAll(worker.streams[0] ?? expect.fail());
    abort.abort();
    await expect(reading).rejects.toMatchObject({ meta: { resetCode: 'cancelled' } });
    expect(() => gateway.mux.openStream(utf8(''), { signal: abort.signal })).toThrow();
    expect(worker.streams.length).toBe(1);
  });

  test('idle and old streams are reset by name', async () => {
    const { gateway, worker, timers } = framePair();
    const idle = gateway.mux.openStream(utf8(''), { idleMs: 1_000 });
    const old = gateway.mux.openStream(utf8(''), { deadlineMs: 5_000, idleMs: 1_000 });
    await settle();
    for (let second = 0; second < 6; second++) {
      timers.advance(900);
      void worker.streams[1]?.write(utf8('x')).catch(() => {});
      await settle();
    }
    await expect(idle.head()).rejects.toMatchObject({ resetCode: 'idle' });
    await expect(readAll(old)).rejects.toMatchObject({ resetCode: 'deadline' });
    gateway.mux.close();
    worker.mux.close();
    expect(timers.count).toBe(0);
  });
});

describe('the connection', () => {
  test('control messages pass in order', async () => {
    const { gateway, worker } = framePair();
    gateway.mux.sendControl(utf8('{"a":1}'));
    gateway.mux.sendControl(utf8('{"b":2}'));
    worker.mux.sendControl(utf8('{"c":3}'));
    await settle();
    expect(worker.controls).toEqual(['{"a":1}', '{"b":2}']);
    expect(gateway.controls).toEqual(['{"c":3}']);
  });

  test('a silent peer is pinged, then dropped; one that answers stays', async () => {
    const { gateway, timers } = framePair();
    for (let beat = 0; beat < 10; beat++) {
      timers.advance(15_000);
      await settle();
    }
    expect(gateway.mux.closed).toBe(false);
    const silent = framePair({ hold: true });
    const stream = silent.gateway.mux.openStream(utf8(''));
    silent.timers.advance(15_000);
    expect(parseFrame(silent.gateway.sent[1] ?? new Uint8Array()).type).toBe('ping');
    silent.timers.advance(15_000);
    expect(silent.gateway.closedWith[0]).toMatchObject({ code: 'PEER_SILENT' });
    await expect(stream.head()).rejects.toMatchObject({ code: 'STREAM_CONNECTION_LOST', retry: true });
  });

  test('losing it fails every stream on both directions, once', async () => {
    const { gateway, worker } = framePair();
    const stream = gateway.mux.openStream(utf8(''));
    await settle();
    const reading = readAll(stream);
    const writing = stream.write(pattern(1_000_000));
    gateway.mux.close();
    gateway.mux.close();
    await expect(reading).rejects.toMatchObject({ code: 'STREAM_CONNECTION_LOST' });
    await expect(writing).rejects.toMatchObject({ code: 'STREAM_CONNECTION_LOST' });
    expect(gateway.closedWith).toEqual([undefined]);
    expect(() => gateway.mux.openStream(utf8(''))).toThrow(expect.objectContaining({ code: 'STREAM_CONNECTION_LOST' }));
    worker.mux.close();
    await expect(readAll(worker.streams[0] ?? expect.fail())).rejects.toMatchObject({ code: 'STREAM_CONNECTION_LOST' });
  });

  test('a transport that fails closes it', async () => {
    for (const send of [
      () => Promise.reject(new Error('gone')),
      () => {
        throw new Error('gone');
      },
    ]) {
      const closed: unknown[] = [];
      const mux = new FrameMux({ role: 'gateway', send, onClose: (error) => closed.push(error) });
      mux.sendControl(utf8('{}'));
      await settle();
      expect(closed).toMatchObject([{ code: 'TRANSPORT_FAILED' }]);
    }
  });

  const head = encodeFrame('head', 1, utf8('h'));
  test.each<[string, Uint8Array[]]>([
    ['FRAME_UNKNOWN_TYPE', [rawFrame(2, 77)]],
    ['FRAME_BAD_CREDIT', [encodeFrame('credit', 1, new Uint8Array(4))]],
    ['FRAME_BAD_RESET', [encodeFrame('reset', 1, new Uint8Array([0, 1, 0xff]))]],
    ['STREAM_ID_OF_OTHER_SIDE', [encodeFrame('open', 3, utf8(''))]],
    ['STREAM_ID_REUSED', [encodeFrame('open', 4, utf8('')), encodeFrame('open', 2, utf8(''))]],
    ['STREAM_ID_REUSED', [encodeFrame('open', 2, utf8('')), encodeFrame('open', 2, utf8(''))]],
    ['STREAM_UNKNOWN', [encodeFrame('data', 3, utf8('x'))]],
    ['STREAM_UNKNOWN', [encodeFrame('end', 2, utf8(''))]],
    ['DATA_AFTER_END', [encodeFrame('end', 1, utf8('')), encodeFrame('data', 1, utf8('x'))]],
    ['DATA_AFTER_END', [encodeFrame('end', 1, utf8('')), encodeFrame('end', 1, utf8(''))]],
    ['HEAD_MISPLACED', [head, head]],
    ['HEAD_MISPLACED', [encodeFrame('data', 1, utf8('x')), head]],
    ['HEAD_MISPLACED', [encodeFrame('open', 2, utf8('')), encodeFrame('head', 2, utf8(''))]],
    ['CREDIT_OVERFLOW', [encodeFrame('credit', 1, new Uint8Array([0, 4, 0, 0]))]],
    ['CREDIT_OVERRUN', [encodeFrame('data', 1, pattern(65_536)), encodeFrame('data', 1, utf8('x'))]],
  ])('a peer that breaks the rules loses it: %s', (code, frames) => {
    const { gateway } = framePair({ hold: true });
    gateway.mux.openStream(utf8(''));
    for (const frame of frames) gateway.mux.receive(frame);
    expect(gateway.closedWith).toMatchObject([{ code }]);
    expect(gateway.mux.streamCount).toBe(0);
  });

  test('what was under way on a reset stream is dropped, and no more than its credit', () => {
    const { gateway } = framePair({ hold: true });
    const stream = gateway.mux.openStream(utf8(''));
    stream.reset('cancelled', '');
    gateway.mux.receive(encodeFrame('head', 1, utf8('')));
    gateway.mux.receive(encodeFrame('credit', 1, new Uint8Array([0, 0, 0, 9])));
    for (let chunk = 0; chunk < 4; chunk++) gateway.mux.receive(encodeFrame('data', 1, pattern(16_384)));
    gateway.mux.receive(encodeFrame('end', 1, utf8('')));
    expect(gateway.mux.closed).toBe(false);
    gateway.mux.receive(encodeFrame('data', 1, utf8('x')));
    expect(gateway.closedWith).toMatchObject([{ code: 'CREDIT_OVERRUN' }]);
  });

  test('a message may carry several frames; a bad one among them counts', async () => {
    const { gateway, worker } = framePair({ hold: true });
    const stream = gateway.mux.openStream(utf8('a'));
    void stream.write(utf8('one'));
    void stream.end(utf8('two'));
    worker.mux.receive(Buffer.concat(gateway.sent));
    expect(Buffer.from(await readAll(worker.streams[0] ?? expect.fail())).toString()).toBe('onetwo');
    worker.mux.receive(Buffer.concat([encodeFrame('open', 3, utf8('')), rawFrame(0, 99)]));
    expect([worker.streams.length, worker.closedWith[0]?.code]).toEqual([2, 'FRAME_UNKNOWN_TYPE']);
    const cut = framePair({ hold: true });
    cut.worker.mux.receive(Buffer.concat(gateway.sent).subarray(0, -1));
    expect(cut.worker.closedWith).toMatchObject([{ code: 'FRAME_TOO_SHORT' }]);
  });

  test('a handler that throws closes it and nothing escapes', () => {
    const closed: unknown[] = [];
    const mux = new FrameMux({
      role: 'worker',
      send: () => {},
      onControl: () => {
        throw new Error('no');
      },
      onClose: (error) => closed.push(error),
    });
    mux.receive(encodeFrame('control', 0, utf8('{}')));
    expect(closed).toMatchObject([{ code: 'HANDLER_FAILED' }]);
  });

  test('any sequence of frames leaves the books balanced and throws nothing', () => {
    const id = fc.constantFrom(0, 1, 2, 3, 4, 5, 0x7fff_ffff, 0xffff_ffff);
    const frame = fc.oneof(
      fc
        .tuple(id, fc.integer({ min: 0, max: 11 }), fc.uint8Array({ maxLength: 12 }))
        .map(([streamId, type, payload]) => rawFrame(streamId, type, payload)),
      fc
        .tuple(id, fc.constantFrom(1, 3, 4), fc.integer({ min: 1, max: 40_000 }))
        .map(([streamId, type, size]) => rawFrame(streamId, type, pattern(size))),
      fc.uint8Array({ maxLength: 20 }),
    );
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 40 }), (frames) => {
        const { gateway } = framePair({ hold: true });
        const stream = gateway.mux.openStream(utf8(''));
        void stream.head().catch(() => {});
        for (const bytes of frames) gateway.mux.receive(bytes);
        expect(gateway.mux.reservedBytes).toBeLessThanOrEqual(256 * 65_536);
        gateway.mux.close();
        expect(gateway.closedWith.length).toBe(1);
        expect([gateway.mux.streamCount, gateway.mux.reservedBytes]).toEqual([0, 0]);
      }),
      { numRuns: 500 },
    );
  });
});
