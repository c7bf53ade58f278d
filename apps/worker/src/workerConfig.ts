import { config } from '@cloister/service';

/** What a worker is told when it starts. Every field can stand in the file of --config or be given as a flag. */
export const workerConfig = config.object({
  /** The network file. Its id stands in the worker's evidence. */
  networkFile: config.text(),
  /**
   * In a dstack CVM the compose file states the network file's id here, since the hardware reports the compose file's hash and
   * nothing of the network. A worker whose network file has another id does not register.
   */
  networkId: config.optional(config.text({ pattern: /^0x[0-9a-f]{64}$/ })),
  /** File with the operator's private key (0x and 64 hexadecimal digits). The operator pays; the enclave trusts it for nothing. */
  operatorKeyFile: config.text(),
  /** Which of the operator's workers this is. */
  index: config.integer({ min: 0, max: 65_535, default: 0 }),
  /** Scratch folder for sandboxes; emptied at start. */
  runDir: config.text(),
  /**
   * The TEE; default: the one that this machine has. "unsafe-simulated-tdx" is never a default: it protects nothing, and works
   * only on networks deployed for it.
   */
  device: config.optional(config.oneOf(['dstack', 'configfs-tsm', 'unsafe-simulated-tdx'])),
  /** Where what stands beside a quote comes from; it is trusted for nothing. */
  collateral: config.object({
    /** A service with the API of Intel's PCS, such as the operator's PCCS. */
    service: config.url({ default: 'https://api.trustedservices.intel.com' }),
    /** A file of collateral or a folder of them, asked before the service. */
    path: config.optional(config.text()),
  }),
  /** Of the device "dstack": the guest agent's socket, where it is in an unusual place, or the URL of dstack's simulator. */
  dstackEndpoint: config.optional(config.text()),
  /** Of the device "configfs-tsm" on SEV-SNP: the VMPL of its evidence; default: the lowest that the kernel allows. */
  privilegeLevel: config.optional(config.integer({ min: 0, max: 3 })),
  /** Of the simulated device: the folder with the network's DEV root, and this machine's platform in it. */
  unsafeSimulated: config.object({
    rootDir: config.text({ default: '' }),
    platform: config.text({ default: 'platform-0', pattern: /^[a-z0-9-]{1,32}$/ }),
  }),
  /** The folder whose files are measured: the checkout that this worker runs from. */
  imageRoot: config.text(),
  /** Sandboxes kept started for apps to come. */
  pooledSandboxes: config.integer({ min: 0, max: 64, default: 2 }),
  /** Port of /healthz and /metrics on loopback; 0 takes a free one. */
  healthPort: config.integer({ min: 0, max: 65_535, default: 0 }),
});
