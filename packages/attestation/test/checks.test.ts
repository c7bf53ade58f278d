import { describe, expect, test } from 'vitest';
import { CheckList, type CheckNode, check } from '../src/verify/checks.ts';
import { evidenceDocument, serialiseEvidence, snpEvidenceDocument, verifyEvidenceFile } from '../src/verify/index.ts';
import { awsRoot, makeNitroDocument } from './nitro/syntheticNitro.ts';
import { amdRoot, makeSnpWorld } from './snp/syntheticSnp.ts';
import { makeWorld, now } from './synthetic.ts';

/** `+ id` or `- id` a line, by depth. */
function drawn(nodes: readonly CheckNode[], depth = 0): readonly string[] {
  return nodes.flatMap(({ id, ok, children }) => [
    `${'  '.repeat(depth)}${ok ? '+' : '-'} ${id}`,
    ...drawn(children, depth + 1),
  ]);
}

describe('check', () => {
  test('without a list it is the call of its body and nothing else', () => {
    const promise = Promise.resolve(7);
    expect(check(undefined, 'a', 'A', (inner) => [inner, 7])).toEqual([undefined, 7]);
    expect(check(undefined, 'a', 'A', () => promise)).toBe(promise);
    const error = new Error('no');
    expect(() =>
      check(undefined, 'a', 'A', () => {
        throw error;
      }),
    ).toThrow(error);
  });

  test('records what its body did, when it did it', async () => {
    const list = new CheckList();
    const seven = check(list, 'now', 'Now', (inner) => {
      inner?.note('found');
      return 7;
    });
    expect(seven).toBe(7);
    let finish: (value: number) => void = () => {};
    const later = check(
      list,
      'later',
      'Later',
      () =>
        new Promise<number>((resolve) => {
          finish = resolve;
        }),
    );
    expect(drawn(list.nodes)).toEqual(['+ now', '- later']);
    finish(8);
    expect(await later).toBe(8);
    expect(list.nodes).toEqual([
      { id: 'now', title: 'Now', ok: true, detail: 'found', children: [] },
      { id: 'later', title: 'Later', ok: true, detail: null, children: [] },
    ]);
  });

  test('records why a body threw, and lets it throw', async () => {
    const list = new CheckList();
    const error = new Error('Expected better');
    expect(() =>
      check(list, 'outer', 'Outer', (inner) =>
        check(inner, 'inner', 'Inner', () => {
          throw error;
        }),
      ),
    ).toThrow(error);
    await expect(check(list, 'later', 'Later', () => Promise.reject(error))).rejects.toBe(error);
    await expect(check(list, 'text', 'Text', () => Promise.reject('only text'))).rejects.toBe('only text');
    expect(drawn(list.nodes)).toEqual(['- outer', '  - inner', '- later', '- text']);
    expect(list.nodes.map(({ detail }) => detail)).toEqual(['Expected better', 'Expected better', 'only text']);
  });

  test('why it failed stands before what was found', () => {
    const list = new CheckList();
    expect(() =>
      check(list, 'a', 'A', (inner) => {
        inner?.note('half');
        throw new Error('whole');
      }),
    ).toThrow('whole');
    expect(list.nodes[0]?.detail).toBe('whole');
  });

  test('is JSON', () => {
    const list = new CheckList();
    check(list, 'a', 'A', (inner) => check(inner, 'b', 'B', () => undefined));
    expect(JSON.parse(JSON.stringify(list.nodes))).toEqual(list.nodes);
  });
});

describe('the tree of verified evidence', () => {
  const world = makeWorld();
  const roots = [world.root.trustRoot];
  const document = evidenceDocument(world.quote, world.collateral);
  const tree = async (evidenceBytes: Uint8Array, options: object = {}): Promise<readonly string[]> => {
    const result = await verifyEvidenceFile({ evidenceBytes, at: now, roots, tree: true, ...options });
    return drawn(result.tree ?? []);
  };

  test('is there only where it is asked for', async () => {
    expect(await verifyEvidenceFile({ evidenceBytes: serialiseEvidence(document), at: now, roots })).not.toHaveProperty(
      'tree',
    );
  });

  test('of TDX has every check, in the order of trust', async () => {
    expect(await tree(serialiseEvidence(document))).toEqual([
      '+ evidence',
      '  + collateral',
      ...[
        'form',
        'root',
        'root-crl',
        'signers',
        'pck-ca',
        'pck-crl',
        'tcb-info',
        'qe-identity',
        'tee-type',
        'dates',
      ].map((id) => `    + ${id}`),
      '  + quote',
      ...['form', 'tee-type', 'collateral-dates', 'platform'].map((id) => `    + ${id}`),
      ...['form', 'root', 'ca', 'leaf', 'revocation'].map((id) => `      + ${id}`),
      ...['platform-dates', 'platform-kind', 'quoting-enclave'].map((id) => `    + ${id}`),
      ...['vendor', 'signature', 'key', 'identity', 'level'].map((id) => `      + ${id}`),
      ...['signature', 'tdx-module', 'tcb'].map((id) => `    + ${id}`),
      '+ appraisal',
      ...['tee-type', 'simulated', 'tcb', 'tcb-date', 'advisories', 'tcb-evaluation', 'debug', 'attributes'].map(
        (id) => `  + ${id}`,
      ),
      ...['moving', 'image', 'config', 'report-data', 'assurance', 'gpus'].map((id) => `  + ${id}`),
    ]);
  });

  test('ends where something does not hold, and says so on the whole way down', async () => {
    const quote = world.quote.map((byte, index) => (index === 600 ? byte ^ 1 : byte));
    const lines = await tree(serialiseEvidence({ ...evidenceDocument(quote, world.collateral) }));
    expect(lines.filter((line) => line.includes('-') && line.trim().startsWith('-'))).toEqual([
      '- evidence',
      '  - quote',
      '    - signature',
    ]);
    expect(lines.at(-1)).toBe('    - signature');
    expect((await tree(serialiseEvidence(document), { policy: {} })).at(-1)).toBe('  - simulated');
  });

  test('of SNP and Nitro', async () => {
    const { report, certificates } = makeSnpWorld();
    const snp = await tree(serialiseEvidence(snpEvidenceDocument(report, certificates)), {
      roots: [amdRoot],
      policy: { unsafeAllowSimulated: true, snpMinimumTcb: { Milan: {} } },
    });
    expect(snp.slice(0, 17)).toEqual([
      '+ evidence',
      '  + certificates',
      ...['form', 'root', 'crl', 'ask', 'leaf', 'revocation', 'dates'].map((id) => `    + ${id}`),
      '  + report',
      ...['form', 'key-dates', 'signing-key', 'signature', 'product', 'tcb', 'chip'].map((id) => `    + ${id}`),
    ]);
    const nitro = await tree(makeNitroDocument(), { roots: [awsRoot] });
    expect(nitro.slice(0, 9)).toEqual([
      '+ evidence',
      '  + document',
      ...['form', 'root', 'chain', 'leaf', 'dates', 'signature', 'age'].map((id) => `    + ${id}`),
    ]);
  });

  test('siblings have ids of their own', async () => {
    const result = await verifyEvidenceFile({ evidenceBytes: serialiseEvidence(document), at: now, roots, tree: true });
    const unique = (nodes: readonly CheckNode[]): boolean =>
      new Set(nodes.map(({ id }) => id)).size === nodes.length && nodes.every(({ children }) => unique(children));
    expect(unique(result.tree ?? [])).toBe(true);
  });

  test('costs the same claims', async () => {
    const evidenceBytes = serialiseEvidence(document);
    const [without, withTree] = await Promise.all(
      [false, true].map((asked) => verifyEvidenceFile({ evidenceBytes, at: now, roots, tree: asked })),
    );
    const { tree: _, ...rest } = withTree ?? {};
    expect(rest).toEqual(without);
  });
});
