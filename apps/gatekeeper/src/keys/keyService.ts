import {
  type Address,
  type Bytes32,
  type Hex,
  keyAnswerDigest,
  keyIdentityHash,
  keyRequestDigest,
  parseSignedKeyRequest,
  type RecordDomain,
} from '@cloister/core';
import { fromHex, hpkeSeal, keccak256, toHex, utf8 } from '@cloister/crypto';
import { recoverAddress } from '@cloister/crypto/native-secp256k1';
import type { Counter, Logger } from '@cloister/service';
import { signWithShare } from '@cloister/threshold/native';
import type { CommitteeState } from '../committeeState.ts';
import type { ShareStore } from '../shares/shareStore.ts';
import {
  assertPlatformHasRoom,
  checkKeyRequest,
  type KeyFacts,
  KeyRefusedError,
  type KeyRulesInit,
} from './keyRules.ts';
import type { ReleaseLog } from './releaseLog.ts';

export type KeyServiceComponents = {
  readonly me: { readonly signer: Address; readonly sign: (digest: Bytes32) => Hex };
  readonly store: ShareStore;
  /** The committee whose shares count: as of the newest final block. */
  readonly state: () => CommitteeState | undefined;
  /**
   * What is true now, for an asker who has seen a block. Throws ChainError, ProofError and CHAIN_UNWITNESSED where the chain can't be
   * read, is split, old or not proven: then nothing is released.
   */
  readonly facts: (from: bigint, signal: AbortSignal) => Promise<KeyFacts>;
  readonly releases: ReleaseLog;
  /** Makes sure that the log as it is now outlives a restart. Throws where it can't: then nothing is released. */
  readonly keepReleases: () => Promise<void>;
  readonly answered: Counter;
  readonly log: Logger;
};

export const keyAnswerInfo = utf8('cloister/key-answer: v1');

/** Gives a host this member's part of a key, if every rule says that the host may have it. */
export class KeyService {
  readonly #components: KeyServiceComponents;
  readonly #domain: RecordDomain;
  readonly #rules: KeyRulesInit;

  constructor(components: KeyServiceComponents, init: { readonly domain: RecordDomain } & KeyRulesInit) {
    this.#components = components;
    this.#domain = init.domain;
    this.#rules = init;
  }

  /** The answer as JSON. Throws KeyRefusedError, SchemaError, ChainError. */
  async answer(json: unknown, signal: AbortSignal): Promise<Record<string, unknown>> {
    const { me, store, state, facts, releases, keepReleases, answered, log } = this.#components;
    const { signature, ...request } = parseSignedKeyRequest(json);
    const digest = keyRequestDigest(this.#domain, request);
    try {
      const signer = this.#signerOf(digest, signature);
      const found = await facts(request.block, signal);
      const worker = await checkKeyRequest(request, signer, found, this.#rules, signal);
      const active = store.active;
      const generation = state()?.generation;
      const index = generation?.members.findIndex((member) => member.signer === me.signer) ?? -1;
      if (active?.shares === undefined || generation?.digest !== active.digest || index === -1)
        throw new KeyRefusedError('KEY_NO_SHARES', 'This member holds no shares of the committee that is');
      const { app, keyVersion, context } = request;
      // Asked again with nothing awaited before the entry: of requests that come together none passes the limit.
      assertPlatformHasRoom(worker.platformId, releases.appsOf(worker.platformId, app, found.epoch), this.#rules);
      if (!releases.hasRoom(worker.platformId, app, found.epoch))
        throw new KeyRefusedError('KEY_LOG_FULL', `This member's log of epoch "${found.epoch}" is full`);
      releases.add({
        app,
        keyVersion,
        class: request.class,
        context,
        workerId: worker.workerId,
        platformId: worker.platformId,
        epoch: found.epoch,
        request: digest,
      });
      const partial = signWithShare(active.shares.apps, fromHex(keyIdentityHash(this.#domain, request)));
      // Kept before the partial leaves: a restart in between forgets nothing that was given.
      const sealed = await keepReleases()
        .then(() => hpkeSeal(fromHex(request.hpkeKey), keyAnswerInfo, fromHex(digest), partial))
        .finally(() => partial.fill(0));
      answered.add(1, { outcome: 'released' });
      const answer = {
        request: digest,
        generation: active.number,
        index: index + 1,
        sealedHash: toHex(keccak256(sealed)) as Bytes32,
      };
      return {
        generation: answer.generation.toString(),
        index: answer.index,
        sealed: toHex(sealed),
        signature: me.sign(keyAnswerDigest(this.#domain, answer)),
      };
    } catch (error) {
      if (error instanceof KeyRefusedError) {
        answered.add(1, { outcome: error.code });
        log.info('keys: refused', { code: error.code, app: request.app, reason: error.message });
      }
      throw error;
    }
  }

  #signerOf(digest: Bytes32, signature: Hex): Address {
    try {
      return recoverAddress(fromHex(digest), fromHex(signature));
    } catch {
      throw new KeyRefusedError('KEY_SIGNATURE_INVALID', 'No key made the signature over this request');
    }
  }
}
