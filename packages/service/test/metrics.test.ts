import { createMetrics, startHealthServer } from '@cloister/service';
import { describe, expect, test } from 'vitest';

describe('metrics', () => {
  test('print as Prometheus reads them', () => {
    const metrics = createMetrics();
    const calls = metrics.counter({ name: 'calls_total', help: 'Calls\nof "all"' });
    calls.add();
    calls.add(1, { code: '200' });
    calls.with({ code: '200' }).add();
    calls.add(1, { code: 'a"b\\c\nd' });
    metrics.gauge({ name: 'streams', help: 'Streams' }).set(-1.5);
    metrics.gaugeOf({ name: 'size', help: 'Size' }, () => 42);
    const latency = metrics.histogram({ name: 'latency_seconds', help: 'Latency', buckets: [0.1, 1] });
    for (const value of [0.1, 0.5, 2]) latency.observe(value, { route: 'call' });
    const text = metrics.text();
    expect(text).toContain(
      [
        '# HELP calls_total Calls\\nof "all"',
        '# TYPE calls_total counter',
        'calls_total 1',
        'calls_total{code="200"} 2',
        'calls_total{code="a\\"b\\\\c\\nd"} 1',
      ].join('\n'),
    );
    expect(text).toContain('streams -1.5\n');
    expect(text).toContain('size 42\n');
    expect(text).toContain(
      [
        'latency_seconds_bucket{route="call",le="0.1"} 1',
        'latency_seconds_bucket{route="call",le="1"} 2',
        'latency_seconds_bucket{route="call",le="+Inf"} 3',
        'latency_seconds_sum{route="call"} 2.6',
        'latency_seconds_count{route="call"} 3',
      ].join('\n'),
    );
    expect(text).toMatch(/process_resident_memory_bytes \d+\n/);
  });

  test('refuse a name that exists or is not one', () => {
    const metrics = createMetrics();
    metrics.counter({ name: 'a_total', help: '' });
    for (const name of ['a_total', 'Bad', 'has space', '1st'])
      expect(() => metrics.gauge({ name, help: '' })).toThrow(
        expect.objectContaining({ code: 'METRIC_NAME_UNUSABLE' }),
      );
  });

  test('labels without end are counted together', () => {
    const metrics = createMetrics();
    const counter = metrics.counter({ name: 'c_total', help: '' });
    for (let label = 0; label < 5_000; label++) counter.add(1, { id: String(label) });
    expect(
      metrics
        .text()
        .split('\n')
        .filter((line) => line.startsWith('c_total')).length,
    ).toBe(1_001);
    expect(metrics.text()).toContain('c_total{other="true"} 4000');
  });
});

describe('the health server', () => {
  test('serves health and metrics on loopback only', async () => {
    const metrics = createMetrics();
    let ok = true;
    const server = await startHealthServer({ port: 0, metrics, health: () => ({ ok, workers: 3 }) });
    try {
      const healthy = await fetch(`${server.url}/healthz`);
      expect([healthy.status, await healthy.json()]).toEqual([200, { ok: true, workers: 3 }]);
      ok = false;
      expect((await fetch(`${server.url}/healthz`)).status).toBe(503);
      expect(await (await fetch(`${server.url}/metrics`)).text()).toContain('process_cpu_seconds');
      expect((await fetch(`${server.url}/other`)).status).toBe(404);
      expect((await fetch(`${server.url}/healthz`, { method: 'POST' })).status).toBe(405);
      const port = Number(new URL(server.url).port);
      await expect(startHealthServer({ port, metrics, health: () => ({ ok }) })).rejects.toMatchObject({
        code: 'HEALTH_CANNOT_LISTEN',
      });
    } finally {
      await server.stop();
    }
    await expect(
      startHealthServer({ host: '0.0.0.0', port: 0, metrics, health: () => ({ ok }) }),
    ).rejects.toMatchObject({ code: 'HEALTH_NOT_LOOPBACK' });
  });
});
