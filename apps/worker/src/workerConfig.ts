import { enclaveConfigFields } from '@cloister/enclave';
import { config } from '@cloister/service';

/** What a worker is told when it starts. Every field can stand in the file of --config or be given as a flag. */
export const workerConfig = config.object({
  ...enclaveConfigFields({ simulatedPlatform: 'platform-0' }),
  /**
   * In a dstack CVM the compose file states the network file's id here, since the hardware reports the compose file's hash and
   * nothing of the network. A worker whose network file has another id does not register.
   */
  networkId: config.optional(config.text({ pattern: /^0x[0-9a-f]{64}$/ })),
  /** Which of the operator's workers this is. */
  index: config.integer({ min: 0, max: 65_535, default: 0 }),
  /** Scratch folder for sandboxes; emptied at start. */
  runDir: config.text(),
  /**
   * What all apps loaded at once may take together, counted by what their manifests allow them. Default: this machine's memory or its
   * control group's, but for 1 GiB, or a half where that is less.
   */
  memoryMiB: config.optional(config.integer({ min: 256, max: 67_108_864 })),
  /** Sandboxes kept started for apps to come. */
  pooledSandboxes: config.integer({ min: 0, max: 64, default: 2 }),
  /** The same for WebAssembly modules, each of some 50 MB. */
  pooledModules: config.integer({ min: 0, max: 64, default: 0 }),
  /** The same for deterministic functions, each of some 80 MB. */
  pooledDeterministic: config.integer({ min: 0, max: 64, default: 0 }),
  /** Folder in which engines for models are installed (npm run engines). Default: the repository's. Without engines this worker runs no models. */
  enginesDir: config.optional(config.text()),
  /**
   * Folder for models' weights that are public, checked by hash when they are first used after a start. In a TEE it must be one that
   * nobody outside can write to: memory, or an encrypted disk. Default: `runDir` with "-weights" after its name.
   */
  weightsDir: config.optional(config.text()),
  /** Size of that folder, and of the sealed weights in memory; the weights used longest ago make room. */
  weightsGiB: config.integer({ min: 1, max: 65_536, default: 16 }),
  /**
   * Folder for images of containers: archives, checked by hash when they are first used after a start, and what the engine makes of them.
   * In a TEE it must be one that nobody outside can read or write to. Default: `runDir` with "-images" after its name.
   */
  imagesDir: config.optional(config.text()),
  /** Size of all archives, and again of all images; those used longest ago make room. */
  imagesGiB: config.integer({ min: 1, max: 65_536, default: 16 }),
  /** Layers of GGUF models on GPUs: never, where one is here with all that it takes, or no models without. */
  gpu: config.oneOf(['off', 'auto', 'required'], { default: 'off' }),
  /** gVisor around containers: where `runsc` is installed and holds, never, or no containers without it. */
  gvisor: config.oneOf(['auto', 'off', 'required'], { default: 'auto' }),
  /**
   * Folder for what clients owe: vouchers and statements, signed and not secret. Default: kept in memory, and lost where the process is
   * killed before it claimed.
   */
  dataDir: config.optional(config.text()),
  payments: config.object({
    /**
     * Whether calls may be paid by a single transfer each (x402's `exact`): a transaction from the operator's account before the call.
     * Turn it off where the gas is worth more than the calls.
     */
    exact: config.boolean({ default: true }),
    /** Claims once so much is due, in PHA's smallest unit: what makes the gas worth it. Default: 1 PHA. */
    collectAtLeast: config.text({ default: '1000000000000000000', pattern: /^(0|[1-9][0-9]{0,28})$/ }),
    /** How often what was earned is written down. */
    keepMs: config.integer({ min: 100, max: 60_000, default: 2_000 }),
    /** How often what was earned since is put on the chain as a root: after an eviction only that counts. */
    anchorSeconds: config.integer({ min: 10, max: 86_400, default: 600 }),
    /**
     * What this worker asks, in PHA's smallest unit; apps whose manifest allows less are refused. Default: what manifests say. Apps that
     * are free are served for nothing.
     */
    prices: config.optional(
      config.object({
        perCall: config.text({ default: '0', pattern: /^(0|[1-9][0-9]{0,28})$/ }),
        perCpuMs: config.text({ default: '0', pattern: /^(0|[1-9][0-9]{0,28})$/ }),
        perGiBSecond: config.text({ default: '0', pattern: /^(0|[1-9][0-9]{0,28})$/ }),
        perOutputKiB: config.text({ default: '0', pattern: /^(0|[1-9][0-9]{0,28})$/ }),
        perInputToken: config.text({ default: '0', pattern: /^(0|[1-9][0-9]{0,28})$/ }),
        perOutputToken: config.text({ default: '0', pattern: /^(0|[1-9][0-9]{0,28})$/ }),
      }),
    ),
    /** How often channels are looked at whose payers may have asked for money back: then what is due is claimed at once. */
    watchSeconds: config.integer({ min: 1, max: 300, default: 60 }),
  }),
  /** Port of /healthz and /metrics on loopback; 0 takes a free one. */
  healthPort: config.integer({ min: 0, max: 65_535, default: 0 }),
});
