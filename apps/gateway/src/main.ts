import { readFile } from 'node:fs/promises';
import { ChainView, CommitteeReader, RegistryReader, StorageRentals } from '@cloister/chain';
import { type Address, parseNetworkFile, zeroAddress } from '@cloister/core';
import { createMetrics, runProcess } from '@cloister/service';
import { Gateway } from './gateway.ts';
import { gatewayConfig } from './gatewayConfig.ts';
import { graceEpochs } from './paidStorageWatch.ts';

runProcess({
  name: 'gateway',
  config: gatewayConfig,
  async start({ config, log }) {
    const network = parseNetworkFile(await readFile(config.networkFile));
    const view = new ChainView({ chainId: network.chainId, rpcs: network.rpcs });
    const registry = new RegistryReader(view, network.contracts);
    const committee = new CommitteeReader(view, network.contracts);
    // A gateway that asks for no payment has no rentals, and still follows the epochs.
    const account = (config.payTo ?? zeroAddress) as Address;
    const rentals = new StorageRentals({ view, contracts: network.contracts, gateway: account, graceEpochs });
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
        ownerOf: (app, signal) => registry.appOwner(app, signal),
        async isActiveSigner(signer, signal) {
          return (await registry.activeSigner(signer, undefined, signal)).active;
        },
        paidStorage: (signal) => rentals.read(signal),
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
