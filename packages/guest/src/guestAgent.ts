import { type EvidenceDocument, evidenceJson, quoteOf } from '@cloister/attestation/verify';
import {
  type Address,
  type GuestInstance,
  type GuestStatement,
  guestAppKeyDigest,
  guestAttestationBytes,
  guestInstanceId,
  guestLogDigest,
  guestStatementJson,
  type Hex,
  type Manifest,
} from '@cloister/core';
import { fromHex, type SecretBytes, toHex } from '@cloister/crypto';
import { type GuestEvent, GuestEventLog } from './eventLog.ts';
import { GuestError } from './guestError.ts';
import { GuestKeys, guestAlgorithm, publicKeyOf, withRecoveryId } from './guestKeys.ts';
import type { GuestQuotes } from './guestQuotes.ts';
import type { MachineRegisters } from './machineRegisters.ts';
import { guestScheme, signAs, verifyAs } from './signing.ts';
import { type TlsKey, TlsKeys } from './tls/tlsKeys.ts';
import type { TlsRequest } from './tls/tlsRequest.ts';

export type GuestAgentComponents = {
  /**
   * The 32 bytes from which all of the app's keys derive, made of what the committee releases for class "signing". The agent takes them
   * over.
   */
  readonly rootKey: SecretBytes;
  readonly quotes: Pick<GuestQuotes, 'quote' | 'registers'>;
  /** Signs as the instance's receipt signer: 65 bytes, r ‖ s ‖ v. */
  readonly sign: (digest: Uint8Array) => Uint8Array;
  /** Unix seconds of the chain, as this worker knows it. */
  readonly now: () => number;
};

export type GuestAgentInit = {
  readonly chainId: number;
  readonly registry: Address;
  readonly instance: GuestInstance;
  readonly manifest: Manifest;
  /** The committee's key of apps, for people: who gives keys. */
  readonly keyProvider: Hex;
  /** Whether the machine's evidence is simulated. */
  readonly simulated: boolean;
};

export type GivenKey = { readonly key: Uint8Array; readonly signatureChain: readonly Uint8Array[] };
export type MadeSignature = {
  readonly signature: Uint8Array;
  readonly signatureChain: readonly Uint8Array[];
  readonly publicKey: Uint8Array;
};
export type MadeQuote = {
  /** What the app chose, filled up to 64 bytes with zeros. */
  readonly reportData: Uint8Array;
  /** The quote itself, where the evidence is one of TDX. */
  readonly quote: Uint8Array | undefined;
  readonly events: readonly GuestEvent[];
  readonly statement: GuestStatement;
  /** All of it, with what is needed to check it. */
  readonly attestation: Uint8Array;
};
export type GuestInfo = {
  readonly appCertificate: string;
  readonly statement: GuestStatement;
  readonly events: readonly GuestEvent[];
  /** Undefined where the machine is no TD. */
  readonly registers: MachineRegisters | undefined;
};

const reportDataBytes = 64;

/**
 * What one instance of an app may ask of its worker, in its own name alone: keys derived from the app's, certificates by them, quotes that
 * are bound to it, a log of its own. Nothing asked of one agent says anything of another app.
 */
export class GuestAgent {
  readonly init: GuestAgentInit;
  readonly #components: GuestAgentComponents;
  readonly #log: GuestEventLog;
  readonly #tls: TlsKeys;
  readonly #keys: GuestKeys;
  readonly #closing = new AbortController();

  private constructor(components: GuestAgentComponents, init: GuestAgentInit, keys: GuestKeys) {
    this.#components = components;
    this.init = init;
    this.#keys = keys;
    this.#log = new GuestEventLog(init.instance);
    this.#tls = new TlsKeys({
      app: init.instance.app,
      now: components.now,
      keys,
      quote: (x, signal) => this.quote(x, signal),
      statement: () => this.statement(),
    });
  }

  static async open(components: GuestAgentComponents, init: GuestAgentInit): Promise<GuestAgent> {
    return new GuestAgent(components, init, await GuestKeys.from(components.rootKey));
  }

  /**
   * A key of the app's own, with the chain of who vouches for it: the app's key for this one ({@link GuestKeys.vouch}), and the worker for
   * the app's key ({@link guestAppKeyDigest}). Throws GuestError.
   */
  async givenKey({
    path,
    purpose,
    algorithm,
  }: Readonly<Record<'path' | 'purpose' | 'algorithm', string>>): Promise<GivenKey> {
    this.#assertOpen();
    const of = guestAlgorithm(algorithm);
    const keys = this.#keys;
    const secret = await keys.derive({ use: 'given', algorithm: of, purpose, path });
    const signatureChain = [keys.vouch(purpose, publicKeyOf(of, secret)), this.#vouchForApp(keys)];
    const key = secret.reveal().slice();
    secret.wipe();
    return { key, signatureChain };
  }

  /** Signs by a key that never leaves the worker, one for each algorithm. Throws as {@link givenKey}. */
  async sign(algorithm: string, data: Uint8Array): Promise<MadeSignature> {
    this.#assertOpen();
    const scheme = guestScheme(algorithm);
    const of = scheme === 'ed25519' ? 'ed25519' : 'secp256k1';
    const keys = this.#keys;
    const secret = await keys.derive({ use: 'signing', algorithm: of, purpose: 'signing', path: '' });
    try {
      const signature = signAs(scheme, secret, data);
      const publicKey = publicKeyOf(of, secret);
      const signatureChain = [signature, keys.vouch('signing', publicKey), this.#vouchForApp(keys)];
      return { signature, signatureChain, publicKey };
    } finally {
      secret.wipe();
    }
  }

  /** Whether it is a signature by this key, whoever's. Throws GuestError. */
  verify(algorithm: string, signed: Parameters<typeof verifyAs>[1]): boolean {
    return verifyAs(guestScheme(algorithm), signed);
  }

  /** A fresh key with a certificate of the app. Throws GuestError, and what the device throws. */
  async tlsKey(request: TlsRequest, signal: AbortSignal): Promise<TlsKey> {
    this.#assertOpen();
    return this.#tls.fresh(request, signal);
  }

  /** The same key for the same path, with a certificate, as dstack had it before 0.5. Throws GuestError. */
  async derivedTlsKey(request: Parameters<TlsKeys['derived']>[0], signal: AbortSignal): Promise<TlsKey> {
    this.#assertOpen();
    return this.#tls.derived(request, signal);
  }

  /**
   * Evidence of the machine, bound to this instance and to at most 64 bytes that the app chose; what it shows of `report_data` is never
   * those bytes themselves. Throws GuestError, and what the device throws.
   */
  async quote(chosen: Uint8Array, signal: AbortSignal): Promise<MadeQuote> {
    const { statement, events, reportData } = this.#toQuote(chosen);
    const evidence = await this.#evidence(reportData, signal);
    return {
      reportData,
      quote: evidence.teeType === 'tdx' ? quoteOf(evidence) : undefined,
      events,
      statement,
      attestation: guestAttestationBytes({
        format: 'cloister-guest-attestation-1',
        reportData: toHex(reportData),
        statement,
        eventLog: JSON.stringify(events),
        evidence: evidenceJson(evidence),
      }),
    };
  }

  /** Adds an event to this instance's log. Throws GUEST_EVENT_REFUSED, GUEST_LOG_FULL. */
  emit(name: string, payload: Uint8Array): void {
    this.#assertOpen();
    this.#log.emit(name, payload);
  }

  /** Who this instance is, and where it runs. Throws GuestError, and what the device throws. */
  async info(): Promise<GuestInfo> {
    this.#assertOpen();
    const { chainId, registry } = this.init;
    const appCertificate = await this.#tls.appCertificate();
    const registers = await this.#components.quotes.registers({ chainId, registry });
    return { appCertificate, statement: this.statement(), events: this.#log.events, registers };
  }

  /** Who this instance is, and the worker's word on its log as it is now. */
  statement(): GuestStatement {
    const { chainId, registry, instance } = this.init;
    const { receiptSigner, app, manifest, keyVersion, nonce } = instance;
    const log = { instance: guestInstanceId(instance), events: this.#log.events.length, register: this.#log.register };
    const signature = this.#components.sign(fromHex(guestLogDigest({ chainId, registry }, log)));
    return {
      format: 'cloister-guest-1',
      ...{ chainId, registry, receiptSigner, app, manifest, keyVersion, nonce },
      log: { events: log.events, register: toHex(log.register), signature: toHex(signature) },
    };
  }

  /** Ends the instance: its keys are wiped, and whatever is asked from now on is refused. */
  close(): void {
    this.#closing.abort();
    this.#keys.wipe();
  }

  #toQuote(chosen: Uint8Array) {
    this.#assertOpen();
    if (chosen.length > reportDataBytes)
      throw new GuestError(
        'GUEST_REQUEST_INVALID',
        `Report data has at most "${reportDataBytes}" bytes, got "${chosen.length}"`,
        'Give its hash',
      );
    const reportData = new Uint8Array(reportDataBytes);
    reportData.set(chosen);
    return { reportData, events: this.#log.events, statement: this.statement() };
  }

  #evidence(reportData: Uint8Array, signal: AbortSignal): Promise<EvidenceDocument> {
    this.#assertOpen();
    const { chainId, registry, instance } = this.init;
    const binding = { chainId, registry, app: instance.app, instance: guestInstanceId(instance) };
    return this.#components.quotes.quote(binding, reportData, AbortSignal.any([signal, this.#closing.signal]));
  }

  #vouchForApp(keys: GuestKeys): Uint8Array {
    const { chainId, registry, instance } = this.init;
    const { app, manifest, keyVersion } = instance;
    const said = { app, manifest, keyVersion, publicKey: keys.appPublicKey };
    return withRecoveryId(this.#components.sign(fromHex(guestAppKeyDigest({ chainId, registry }, said))));
  }

  #assertOpen(): void {
    if (this.#closing.signal.aborted)
      throw new GuestError('GUEST_CLOSED', 'The instance of the app that asks is over', 'Ask its successor');
  }
}

/** The statement as one line of JSON. */
export function statementText(statement: GuestStatement): string {
  return JSON.stringify(guestStatementJson(statement));
}
