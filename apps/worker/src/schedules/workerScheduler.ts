import type { RegistryReader } from '@cloister/chain';
import { type Bytes32, type Manifest, maxManifestBytes, type NetworkFile, parseManifest } from '@cloister/core';
import type { PlacementReader } from '@cloister/placement';
import type { AppSecretsComponents } from '../keys/appSecrets.ts';
import { PublishedVersions } from './publishedVersions.ts';
import { ScheduledApps } from './scheduledApps.ts';
import { Scheduler } from './scheduler.ts';
import type { SchedulerComponents, ServedVersion } from './schedulerComponents.ts';

export type WorkerSchedulerComponents = Pick<
  SchedulerComponents,
  'states' | 'apps' | 'services' | 'workerId' | 'log'
> & {
  readonly network: NetworkFile;
  readonly registry: RegistryReader;
  readonly placement: PlacementReader;
  readonly blobs: AppSecretsComponents['blobs'];
};

const maxKeptManifests = 256;

/** The scheduler of a worker, over its chain and the gateways' stores. */
export function workerScheduler(components: WorkerSchedulerComponents): Scheduler {
  const { network, registry, placement, blobs } = components;
  const kept = new Map<Bytes32, Manifest>();
  const manifest = async (id: Bytes32, signal: AbortSignal): Promise<Manifest> =>
    kept.get(id) ?? parseManifest(await blobs(id, maxManifestBytes, signal));
  const serving = async (app: Bytes32, signal: AbortSignal): Promise<ServedVersion> => {
    const { manifestId, fields } = await registry.currentApp(app, undefined, signal);
    const served = { app, manifestId, manifest: await manifest(manifestId, signal), keyVersion: fields.keyVersion };
    kept.set(manifestId, served.manifest);
    if (kept.size > maxKeptManifests) kept.delete(kept.keys().next().value as Bytes32);
    return served;
  };
  return new Scheduler({
    ...components,
    scheduled: new ScheduledApps({
      versions: new PublishedVersions(registry.view, network.contracts.appRegistry),
      manifest,
      log: components.log,
    }),
    serving,
    hosts: async ({ app, manifest: rules }, signal) =>
      (await placement.placementOf(app, rules, await registry.view.head(signal), signal)).hosts,
    now: () => Number(registry.view.latest?.timestamp ?? 0n),
  });
}
