import { config } from '@cloister/service';

/** What a gatekeeper is told when it starts. Every field can stand in the file of --config or be given as a flag. */
export const gatekeeperConfig = config.object({
  /** The network file. Its id stands in the gatekeeper's evidence. */
  networkFile: config.text(),
  /** File with the operator's private key (0x and 64 hexadecimal digits). The operator pays; the enclave trusts it for nothing. */
  operatorKeyFile: config.text(),
  /** Where it listens. */
  listen: config.object({
    host: config.text({ default: '127.0.0.1', max: 255 }),
    port: config.integer({ min: 0, max: 65_535, default: 0 }),
  }),
  /** How others reach it: registered on the chain. Default: where it listens. */
  endpoint: config.optional(config.url()),
  /** Folder for what the hardware seals. On a device that can't seal nothing is written there. */
  dataDir: config.text(),
  /** The TEE; default: the one that this machine has. "unsafe-simulated-tdx" is never a default. */
  device: config.optional(config.oneOf(['dstack', 'configfs-tsm', 'unsafe-simulated-tdx'])),
  collateral: config.object({
    /** A service with the API of Intel's PCS, such as the operator's PCCS. */
    service: config.url({ default: 'https://api.trustedservices.intel.com' }),
    /** A file of collateral or a folder of them, asked before the service. */
    path: config.optional(config.text()),
  }),
  /** Of the device "dstack": the guest agent's socket, where it is in an unusual place. */
  dstackEndpoint: config.optional(config.text()),
  /** Of the device "configfs-tsm" on SEV-SNP: the VMPL of its evidence. */
  privilegeLevel: config.optional(config.integer({ min: 0, max: 3 })),
  /** Of the simulated device: the folder with the network's DEV root, and this machine's platform in it. */
  unsafeSimulated: config.object({
    rootDir: config.text({ default: '' }),
    platform: config.text({ default: 'gatekeeper-0', pattern: /^[a-z0-9-]{1,32}$/ }),
  }),
  /** The folder whose files are measured: the checkout that this gatekeeper runs from. */
  imageRoot: config.text(),
  /** Seconds of the chain's clock for one attempt at a handover: the same for all members. */
  attemptSeconds: config.integer({ min: 5, max: 3_600, default: 60 }),
  /** How often the chain is looked at, in ms. */
  tickMs: config.integer({ min: 100, max: 60_000, default: 2_000 }),
  /** Apps whose keys one platform gets in an epoch. */
  maxAppsPerPlatform: config.integer({ min: 1, max: 100_000, default: 256 }),
});
