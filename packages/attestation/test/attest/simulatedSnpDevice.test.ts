import { expect } from 'vitest';
import { makeSimulatedChip, makeSimulatedSnpRoot, simulatedSnpDriver } from '../../src/unsafe-simulated/index.ts';
import { EvidenceVerifier } from '../../src/verify/index.ts';
import { now, registers } from './attestWorld.ts';
import { deviceCompliance } from './compliance.ts';

const root = makeSimulatedSnpRoot(now);

deviceCompliance({
  name: 'unsafe simulated SEV-SNP',
  kind: 'sev-snp',
  simulated: true,
  async setup() {
    const { mrConfigId: _, rtmr3: __, ...image } = registers;
    const chip = makeSimulatedChip(root, now);
    const verifier = new EvidenceVerifier({ roots: [root.trustRoot] });
    return {
      driver: simulatedSnpDriver(async () => ({ chip, image, configId: `0x${'c0'.repeat(32)}`, now: () => now })),
      verify: async (document) => {
        if (document.teeType !== 'sev-snp') throw new RangeError(`Expected SNP evidence, got ${document.teeType}`);
        const claims = await verifier.verify(document, now);
        expect(claims).toMatchObject({ simulated: true, product: 'Genoa', signer: 'vcek', vmpl: 0, migratable: false });
        return claims;
      },
      elsewhere: undefined,
      asked: () => 0,
      traces: () => [],
      hold: undefined,
      teardown: async () => undefined,
    };
  },
});
