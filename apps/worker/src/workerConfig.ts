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
  /** Sandboxes kept started for apps to come. */
  pooledSandboxes: config.integer({ min: 0, max: 64, default: 2 }),
  /** Port of /healthz and /metrics on loopback; 0 takes a free one. */
  healthPort: config.integer({ min: 0, max: 65_535, default: 0 }),
});
