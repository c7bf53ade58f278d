import { config } from '@cloister/service';
import { gatewayLimits } from './limits.ts';

/** What a gateway is told when it starts. Every field can stand in the file of --config or be given as a flag. */
export const gatewayConfig = config.object({
  listen: config.object({
    host: config.text({ default: '127.0.0.1', max: 255 }),
    port: config.integer({ min: 0, max: 65_535 }),
  }),
  /** How clients and workers reach it: one of the network file's gateways. Default: where it listens. */
  publicUrl: config.optional(config.url()),
  /** The network file: names the chain and the registry that say which workers exist. */
  networkFile: config.text(),
  /** Account that gets the gateway's part of the fees of calls that it carries. Default: it asks for none. */
  payTo: config.optional(config.text({ pattern: /^0x[0-9a-f]{40}$/ })),
  /** Folder for blobs. */
  dataDir: config.text(),
  /** Proxies of ours in front, each adding an entry to X-Forwarded-For; 0: that header is not believed. */
  trustedProxies: config.integer({ min: 0, max: 8, default: 0 }),
  limits: gatewayLimits,
});
