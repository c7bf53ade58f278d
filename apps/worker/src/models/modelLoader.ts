import { type Manifest, type WeightsList, weightsListOf } from '@cloister/core';
import type { InstalledEngine, ModelEngineName, ModelSource, Tenant } from '@cloister/sandbox';
import { AppRefusedError } from '../appRefusedError.ts';
import type { QuotingDevice } from './redpill/attestationReport.ts';
import { ReportedTenant } from './redpill/reportedTenant.ts';
import type { WeightsStore } from './weightsStore.ts';

export type ModelLoaderComponents = {
  readonly weights: Pick<WeightsStore, 'file'>;
  /** Keeps sealed weights, in memory alone; undefined where this machine has no such place. */
  readonly sealedWeights: Pick<WeightsStore, 'file' | 'drop'> | undefined;
  readonly engines: readonly InstalledEngine[];
  readonly device: QuotingDevice;
};

/** What a model's receipts name: which weights ran on what. */
export type ModelIdentity = {
  readonly engine: ModelEngineName;
  /** Of the engine's package. */
  readonly engineVersion: string;
  /** sha256 of the file; where it is sealed, the salted digest that the manifest has of its list. */
  readonly weights: string;
};

export type LoadedModel = {
  readonly source: ModelSource;
  readonly identity: ModelIdentity;
  /** Puts what the worker does for a model around it. Its closing gives back what was taken for it. */
  readonly around: (tenant: Tenant) => Tenant;
  /** Gives that back where no tenant came of it. */
  readonly release: () => Promise<void>;
};

/** Makes of a model's manifest and list of weights what the sandbox runs. */
export class ModelLoader {
  readonly #components: ModelLoaderComponents;
  /** Tenants by the file of sealed weights that they run on. */
  readonly #holders = new Map<string, number>();

  constructor(components: ModelLoaderComponents) {
    this.#components = components;
  }

  /**
   * @param code the stored list of weights, its hash checked
   * Throws AppRefusedError, WeightsStoreError.
   */
  async load(manifest: Manifest, code: Uint8Array, signal: AbortSignal): Promise<LoadedModel> {
    const { device } = this.#components;
    const engine = this.#components.engines.find(({ name }) => name === manifest.runtime.name);
    if (engine === undefined || manifest.model === undefined)
      throw new AppRefusedError('APP_FEATURE_UNAVAILABLE', `This worker has no engine "${manifest.runtime.name}"`);
    const { sealed } = manifest.code;
    const list = listOf(code, sealed !== undefined);
    const { contextTokens, maxTokens } = manifest.model;
    const weights = sealed === undefined ? this.#components.weights : this.#sealedWeights();
    const weightsFile = await weights.file(list, signal);
    // From now on: nobody takes the file away while it is being opened.
    const release = sealed === undefined ? async () => {} : this.#hold(weightsFile, list);
    return {
      release,
      source: { engine: engine.name, name: manifest.name, weightsFile, contextTokens, maxTokens },
      identity: { engine: engine.name, engineVersion: engine.version, weights: sealed?.digest ?? list.sha256 },
      around: (tenant: Tenant) => {
        const held = sealed === undefined ? tenant : releasing(tenant, release);
        if (engine.name !== 'llama-cpp') return held;
        return new ReportedTenant(held, { device, model: manifest.name });
      },
    };
  }

  #sealedWeights(): Pick<WeightsStore, 'file' | 'drop'> {
    const { sealedWeights } = this.#components;
    if (sealedWeights !== undefined) return sealedWeights;
    throw new AppRefusedError(
      'APP_FEATURE_UNAVAILABLE',
      'This worker has no place in memory for sealed weights, and keeps none anywhere else',
    );
  }

  /** Counts one more that runs on a file of sealed weights. What it gives takes that back, once; the last one takes the file along. */
  #hold(file: string, list: WeightsList): () => Promise<void> {
    this.#holders.set(file, (this.#holders.get(file) ?? 0) + 1);
    let released = false;
    return async () => {
      if (released) return;
      released = true;
      const others = (this.#holders.get(file) ?? 1) - 1;
      this.#holders.set(file, others);
      if (others === 0) {
        this.#holders.delete(file);
        await this.#components.sealedWeights?.drop(list);
      }
      list.key?.wipe();
    };
  }
}

function releasing(tenant: Tenant, release: () => Promise<void>): Tenant {
  return {
    invoke: (request, options) => tenant.invoke(request, options),
    logs: () => tenant.logs(),
    close: async () => {
      await tenant.close();
      await release();
    },
  };
}

function listOf(code: Uint8Array, isSealed: boolean): WeightsList {
  try {
    return weightsListOf(code, isSealed);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'it can not be read';
    throw new AppRefusedError('APP_WEIGHTS_INVALID', `The model's code is no list of weights: ${why}`, cause);
  }
}
