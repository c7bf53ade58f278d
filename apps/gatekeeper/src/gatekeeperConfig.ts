import { maxChallengeSteps } from '@cloister/core';
import { enclaveConfigFields } from '@cloister/enclave';
import { config } from '@cloister/service';

/** What a gatekeeper is told when it starts. Every field can stand in the file of --config or be given as a flag. */
export const gatekeeperConfig = config.object({
  ...enclaveConfigFields({ simulatedPlatform: 'gatekeeper-0' }),
  /** Where it listens. */
  listen: config.object({
    host: config.text({ default: '127.0.0.1', max: 255 }),
    port: config.integer({ min: 0, max: 65_535, default: 0 }),
  }),
  /** How others reach it: registered on the chain. Default: where it listens. */
  endpoint: config.optional(config.url()),
  /** Folder for what the hardware seals, nothing on a device that can't, and for what was published of the last epochs. */
  dataDir: config.text(),
  /** Seconds of the chain's clock for one attempt at a handover: the same for all members. */
  attemptSeconds: config.integer({ min: 5, max: 3_600, default: 60 }),
  /** How often the chain is looked at, in ms. */
  tickMs: config.integer({ min: 100, max: 60_000, default: 2_000 }),
  /** How long the others' commitments to what they measured are waited for at the end of an epoch, in ms; their vectors two and a half times as long. */
  commitMs: config.integer({ min: 500, max: 20_000, default: 10_000 }),
  /** Questions to each worker in an epoch, on average. */
  challengesPerWorker: config.integer({ min: 1, max: 1_000, default: 12 }),
  /** Questions to all workers together in an epoch: of many workers each is asked less. */
  maxChallengesPerEpoch: config.integer({ min: 1, max: 1_000_000, default: 100_000 }),
  /** Steps of work in a long question: the same for all members, so that what they measure can be compared. */
  challengeSteps: config.integer({ min: 1_000, max: maxChallengeSteps, default: 20_000_000 }),
  /** Apps whose keys one platform gets in an epoch. */
  maxAppsPerPlatform: config.integer({ min: 1, max: 100_000, default: 256 }),
});
