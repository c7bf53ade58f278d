import { config } from '@cloister/service';

/** What every enclave service is told when it starts: network, operator, TEE. A service adds its own fields. */
export function enclaveConfigFields(defaults: {
  /** Which machine a simulated device is, where nothing is said. */
  readonly simulatedPlatform: string;
}) {
  return {
    /** The network file. Its id stands in the enclave's evidence. */
    networkFile: config.text(),
    /** File with the operator's private key (0x and 64 hexadecimal digits). The operator pays; the enclave trusts it for nothing. */
    operatorKeyFile: config.text(),
    /**
     * The TEE; default: the one that this machine has. "unsafe-simulated-tdx" and "unsafe-simulated-snp" are never a default: they
     * protect nothing, and work only on networks deployed for them.
     */
    device: config.optional(config.oneOf(['dstack', 'configfs-tsm', 'unsafe-simulated-tdx', 'unsafe-simulated-snp'])),
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
      platform: config.text({ default: defaults.simulatedPlatform, pattern: /^[a-z0-9-]{1,32}$/ }),
    }),
    /** The folder whose files are measured: the checkout that the service runs from. */
    imageRoot: config.text(),
  } as const;
}
