import { simulatedTdxDriver } from '../../src/unsafe-simulated/index.ts';
import { now, platform, registers, root } from './attestWorld.ts';
import { deviceCompliance, tdxClaims } from './compliance.ts';

deviceCompliance({
  name: 'unsafe simulated TDX',
  kind: 'tdx',
  simulated: true,
  async setup() {
    const { mrConfigId: _, rtmr3: __, ...image } = registers;
    return {
      driver: simulatedTdxDriver({ platform, image, configId: `0x${'c0'.repeat(32)}`, now: () => now }),
      verify: tdxClaims([root.trustRoot]),
      elsewhere: undefined,
      asked: () => 0,
      traces: () => [],
      hold: undefined,
      teardown: async () => undefined,
    };
  },
});
