import { readFile } from 'node:fs/promises';
import { ChainView, CommitteeReader, RegistryReader } from '@cloister/chain';
import { parseNetworkFile } from '@cloister/core';
import { createMetrics, runProcess } from '@cloister/service';
import { Gateway } from './gateway.ts';
import { gatewayConfig } from './gatewayConfig.ts';

runProcess({
  name: 'gateway',
  config: gatewayConfig,
  async start({ config, log }) {
    const network = parseNetworkFile(await readFile(config.networkFile));
    const view = new ChainView({ chainId: network.chainId, rpcs: network.rpcs });
    const registry = new RegistryReader(view, network.contracts);
    const committee = new CommitteeReader(view, network.contracts);
    const gateway = new Gateway(
      {
        async resolveSigner(workerId, signal) {
          const { state, receiptSigner } = await registry.workerStatus(workerId, undefined, signal);
          return state === 'active' ? receiptSigner : undefined;
        },
        async gatekeepers(signal) {
          const { number } = await view.head(signal);
          const { generation } = await committee.status(number, signal);
          return generation.members.flatMap(({ endpoint }) => (endpoint === '' ? [] : [endpoint]));
        },
        domain: { chainId: network.chainId, registry: network.contracts.workerRegistry },
        log,
        metrics: createMetrics(),
      },
      { ...config.listen, ...config },
    );
    await gateway.start();
    log.info('gateway: listening', { url: gateway.url, publicUrl: gateway.publicUrl });
    return { ready: { url: gateway.url, publicUrl: gateway.publicUrl }, stop: () => gateway.stop() };
  },
});
