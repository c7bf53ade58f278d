import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CallResult, DeployOptions } from '@cloister/sdk';
import { privateKeyToAccount } from 'viem/accounts';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { clientOf, deployFunction, handler, textOf } from '../support/apps.ts';
import { HostileGateway } from '../support/hostileGateway.ts';

const mebibyte = 1_048_576;

type Hostile = {
  readonly name: string;
  readonly source: string;
  readonly outcome: CallResult['outcome'];
  /** Which limit, where the outcome is one. */
  readonly limit?: 'wall' | 'memory' | 'output';
  /** A host that it was refused: the receipt counts it, the owner's log names it. */
  readonly refusedHost?: string;
  readonly manifest?: DeployOptions['manifest'];
};

const forkless = 'import { execSync } from "node:child_process";';

const hostile: readonly Hostile[] = [
  { name: 'loops-for-ever', source: handler('for (;;);'), outcome: 'limit', limit: 'wall' },
  { name: 'loops-when-it-is-loaded', source: 'for (;;);', outcome: 'limit', limit: 'wall' },
  {
    name: 'never-ends-its-answer',
    source: handler(
      'return new Response(new ReadableStream({ async pull(c) { c.enqueue(new Uint8Array(1)); await new Promise((r) => setTimeout(r, 20)); } }));',
    ),
    outcome: 'limit',
    limit: 'wall',
  },
  {
    name: 'fills-the-heap',
    source: handler('const a = []; for (;;) a.push(new Array(10000).fill(a.length + 0.5));'),
    outcome: 'limit',
    limit: 'memory',
    manifest: { limits: { wallMs: 20_000, memoryBytes: 48 * mebibyte } },
  },
  {
    name: 'fills-buffers',
    source: handler('const a = []; for (;;) { const b = new Uint8Array(1 << 20); b.fill(1); a.push(b); }'),
    outcome: 'limit',
    limit: 'memory',
    manifest: { limits: { wallMs: 20_000, memoryBytes: 48 * mebibyte } },
  },
  {
    name: 'floods-its-answer',
    source: handler('return new Response(new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(65536)); } }));'),
    outcome: 'limit',
    limit: 'output',
  },
  { name: 'throws-null', source: handler('throw null;'), outcome: 'app-error' },
  {
    name: 'throws-what-throws-when-it-is-looked-at',
    source: handler(
      'throw new Proxy({}, { get() { throw 1; }, getPrototypeOf() { throw 2; }, ownKeys() { throw 3; } });',
    ),
    outcome: 'app-error',
  },
  { name: 'throws-a-response', source: handler('throw new Response("ok");'), outcome: 'app-error' },
  {
    name: 'recurses',
    source: handler('const f = (n) => f(n + 1) + 1; return new Response(f(0));'),
    outcome: 'app-error',
  },
  { name: 'answers-with-a-number', source: handler('return 5;'), outcome: 'app-error' },
  { name: 'is-no-javascript', source: 'this is not JavaScript', outcome: 'app-error' },
  { name: 'has-no-handler', source: 'export default {};', outcome: 'app-error' },
  { name: 'forks', source: handler('execSync("id"); return new Response("forked");', forkless), outcome: 'app-error' },
  {
    name: 'reads-files',
    source: handler('return new Response((await import("node:fs")).readFileSync("/etc/passwd"));'),
    outcome: 'app-error',
  },
  { name: 'makes-code-from-text', source: handler('return new Response(eval("1"));'), outcome: 'app-error' },
  { name: 'says-that-it-failed', source: handler('return new Response("no", { status: 500 });'), outcome: 'app-error' },
  { name: 'says-no', source: handler('return new Response("no", { status: 403 });'), outcome: 'refused' },
];

export const scenario: Scenario = {
  title:
    'A hostile function comes back as an attested failure that names its limit, and its neighbour goes on answering',
  async run({ network: start, note }) {
    const network = await start();
    const gateway = await HostileGateway.start(network.network.gateways[0] ?? '');
    let reached = 0;
    const inner = createServer((_, response) => {
      reached += 1;
      response.end('the inside of the network');
    });
    await new Promise<void>((resolve) => inner.listen(0, '127.0.0.1', resolve));
    try {
      // All on one worker: a neighbour elsewhere would notice nothing anyhow.
      const [worker] = await clientOf(network).workers();
      gateway.offerOnly(worker?.announcement.workerId ?? '');
      const client = clientOf(network, { gateways: [gateway.url] });
      const owner = privateKeyToAccount(accountsOf(network).developer.privateKey);
      const neighbour = await deployFunction(
        network,
        'hostile-neighbour',
        handler('return new Response("still here");'),
      );
      const greet = async () => {
        const result = await client.call(neighbour.app);
        assert.deepEqual([result.outcome, textOf(result)], ['ok', 'still here']);
        return result.receipt.receipt.sequence;
      };
      await greet();
      const { port } = inner.address() as AddressInfo;

      for (const { name, source, outcome, limit, refusedHost, manifest } of [...hostile, ...reaching(port)]) {
        note(name);
        const limits = { memoryBytes: 64 * mebibyte, wallMs: 1_000, outputBytes: 300_000, ...manifest?.limits };
        const { app } = await deployFunction(network, `hostile-${name}`, source, { ...manifest, limits });
        const calling = client.call(app);
        calling.catch(() => {});
        await greet();
        const { receipt, ...result } = await calling;
        assert.equal(result.outcome, outcome, `${name}: ${JSON.stringify(receipt.details)}`);
        assert.equal(receipt.details.limit, limit, name);
        assert.equal(receipt.details.refusedHosts, refusedHost === undefined ? 0 : 1, name);
        if (refusedHost !== undefined) {
          const [log] = await client.logs(app, owner);
          assert.ok(
            log?.lines.some(({ message }) => message.includes(refusedHost)),
            JSON.stringify(log?.lines),
          );
        }
        assert.equal(receipt.receipt.app, app);
        if (limit === 'output') assert.equal(result.body.length, 300_000, name);
        else assert.doesNotMatch(textOf(result), /passwd|root:|forked|inside/);
      }

      note('a name that leads inside, where the name server knows it at all');
      const place = `http://localhost:${port}`;
      const byName = handler(`return fetch(${JSON.stringify(place)});`);
      const { app: named } = await deployFunction(network, 'hostile-by-name', byName, { outbound: [place] });
      assert.ok(['refused', 'app-error'].includes((await client.call(named)).outcome));
      assert.equal(reached, 0, 'a function reached a server on loopback');

      note('a rejection that nobody handles');
      const careless = handler('Promise.reject(new Error("nobody handles this")); return new Response("done");');
      const { app } = await deployFunction(network, 'hostile-careless', careless);
      for (const _attempt of [1, 2]) assert.equal(textOf(await client.call(app)), 'done');

      note('more calls at once than the app takes');
      const slow = handler('await new Promise((r) => setTimeout(r, 700)); return new Response("done");');
      const one = await deployFunction(network, 'hostile-crowded', slow, { limits: { maxConcurrent: 1 } });
      await client.call(one.app);
      const crowd = await Promise.all([1, 2, 3].map(() => client.call(one.app)));
      assert.deepEqual(crowd.map((each) => `${each.outcome} ${each.receipt.details.code ?? ''}`).sort(), [
        'ok ',
        'refused TENANT_BUSY',
        'refused TENANT_BUSY',
      ]);
      await greet();
    } finally {
      inner.close();
      await gateway.stop();
    }
  },
};

/** Code that reaches for where it may not, named in its manifest or not. */
function reaching(port: number): readonly Hostile[] {
  const reach = (name: string, url: string, host: string, outbound: readonly string[]): Hostile => ({
    name,
    source: handler(`const answer = await fetch(${JSON.stringify(url)}); return new Response(await answer.text());`),
    outcome: 'refused',
    refusedHost: host,
    manifest: { outbound },
  });
  const inner = `http://127.0.0.1:${port}`;
  return [
    reach('reaches-loopback', `${inner}/`, inner, []),
    reach('reaches-loopback-as-declared', `${inner}/`, inner, [inner]),
    reach('reaches-metadata', 'http://169.254.169.254/latest/', 'http://169.254.169.254', ['http://169.254.169.254']),
    reach('reaches-a-private-host', 'https://10.0.0.1/', '10.0.0.1', ['10.0.0.1']),
    reach('reaches-an-undeclared-host', 'https://example.com/', 'example.com', ['example.org']),
  ];
}
