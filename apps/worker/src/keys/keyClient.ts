import type { CommitteeMember, CommitteeReader, CommitteeStatus } from '@cloister/chain';
import {
  type Bytes32,
  CloisterError,
  describeError,
  type KeyIdentity,
  keyAnswerDigest,
  keyIdentityHash,
  keyRequestDigest,
  type MemberRefusal,
  MemberRefusedError,
  memberRefusedBy,
  type NetworkFile,
  parseBoundedJson,
  parseSealedKeyAnswer,
  readBounded,
  type SignedKeyRequest,
  signedKeyRequestToJson,
  sleep,
  tickAt,
  withDeadline,
} from '@cloister/core';
import {
  engine,
  fromHex,
  hpkeOpen,
  keccak256,
  randomBytes,
  SecretBytes,
  toHex,
  utf8,
  type X25519KeyPair,
} from '@cloister/crypto';
import { recoverAddress } from '@cloister/crypto/native-secp256k1';
import { choicesWithLast, combineVerified, type Partial } from '@cloister/threshold/combine';
import { uncompressG2Native, verifySignatureNative } from '@cloister/threshold/native';

export type KeyClientComponents = {
  readonly network: NetworkFile;
  readonly committee: CommitteeReader;
  /** Signs as the worker that the registry knows. */
  readonly sign: (digest: Uint8Array) => Uint8Array;
  /** The network's clock: genesis and length of an epoch, seconds. */
  readonly clock: { readonly genesis: bigint; readonly epochLength: bigint };
  readonly fetch?: typeof globalThis.fetch;
};

export type KeyClientInit = {
  /** Pauses before it is asked again where the parts that came are of two generations. ms. @default [500, 2_000] */
  readonly pausesMs: readonly number[];
};

/** A handover takes all members within seconds. */
const defaultInit: KeyClientInit = { pausesMs: [500, 2_000] };

export type KeyWish = KeyIdentity & { readonly manifest: Bytes32 };

type Answer = { readonly generation: bigint; readonly partial: Partial };

const memberTimeoutMs = 10_000;
const maxAnswerBytes = 4_096;
/** How long the list of members is used again, in ms. */
const membersMs = 5_000;
const info = utf8('cloister/key-answer: v1');

/**
 * Asks the committee for an app's key: every member for its part, sealed to a key made for this request alone; the first
 * threshold of good parts make the key, which is verified under the network's public key before it is used.
 */
export class KeyClient {
  readonly #components: KeyClientComponents;
  readonly #pausesMs: readonly number[];
  readonly #fetch: typeof globalThis.fetch;
  #members: { readonly status: CommitteeStatus; readonly readAtMs: number } | undefined;

  constructor(components: KeyClientComponents, { pausesMs }: KeyClientInit = defaultInit) {
    this.#components = components;
    this.#pausesMs = pausesMs;
    this.#fetch = components.fetch ?? globalThis.fetch;
  }

  /**
   * The identity's signature, 96 bytes: the secret from which the app's keys of this class derive. Throws KEYS_ABSENT where the network
   * has no committee, KEYS_REFUSED with the rule that forbids it, KEYS_UNAVAILABLE while too few members answer.
   */
  async signature(wish: KeyWish, signal: AbortSignal): Promise<SecretBytes> {
    const { network } = this.#components;
    if (network.networkKeys === null)
      throw new KeyClientError('KEYS_ABSENT', 'The network file names no keys: this network has no committee', []);
    const publicKey = fromHex(network.networkKeys.apps);
    for (const pauseMs of this.#pausesMs) {
      try {
        return await this.#askOnce(wish, publicKey, signal);
      } catch (error) {
        if (!(error instanceof MixedPartsError)) throw error;
        await sleep(pauseMs, signal);
        this.#members = undefined;
      }
    }
    return this.#askOnce(wish, publicKey, signal);
  }

  async #askOnce(wish: KeyWish, publicKey: Uint8Array, signal: AbortSignal): Promise<SecretBytes> {
    const status = await this.#status(signal);
    const hpke = await engine.generateX25519();
    try {
      const request = await this.#request(wish, hpke, signal);
      return await this.#collect(request, status, hpke, publicKey, signal);
    } finally {
      hpke.secretKey.wipe();
    }
  }

  async #status(signal: AbortSignal): Promise<CommitteeStatus> {
    const known = this.#members;
    if (known !== undefined && Date.now() - known.readAtMs < membersMs) return known.status;
    const { committee } = this.#components;
    // As of the newest final block: whose shares count for the members too.
    const { number } = await committee.view.finalized(signal);
    const status = await committee.status(number, signal);
    this.#members = { status, readAtMs: Date.now() };
    return status;
  }

  async #request(wish: KeyWish, hpke: X25519KeyPair, signal: AbortSignal): Promise<SignedKeyRequest> {
    const { committee, clock, sign } = this.#components;
    const head = await committee.view.head(signal);
    const request = {
      ...wish,
      epoch: tickAt(head.timestamp, clock.genesis, clock.epochLength),
      block: head.number,
      nonce: toHex(randomBytes(32)) as Bytes32,
      hpkeKey: toHex(hpke.publicKey) as Bytes32,
    };
    return { ...request, signature: toHex(sign(fromHex(keyRequestDigest(this.#domain, request)))) };
  }

  /** Asks all members at once, and is done with the first good threshold of one generation. */
  async #collect(
    request: SignedKeyRequest,
    { generation }: CommitteeStatus,
    hpke: X25519KeyPair,
    publicKey: Uint8Array,
    signal: AbortSignal,
  ): Promise<SecretBytes> {
    const message = fromHex(keyIdentityHash(this.#domain, request));
    const answers: Answer[] = [];
    const refusals: MemberRefusal[] = [];
    const ended = new AbortController();
    const inner = AbortSignal.any([signal, ended.signal]);
    try {
      return await new Promise<SecretBytes>((resolve, reject) => {
        let open = generation.members.length;
        const onOne = (): void => {
          const found = this.#combine(answers, generation.threshold, message, publicKey);
          if (found !== undefined) resolve(found);
          else if (--open === 0) reject(failure(generation.threshold, answers.length, refusals));
        };
        if (open === 0) reject(failure(generation.threshold, 0, []));
        for (const member of generation.members)
          this.#ask(member, request, hpke, inner)
            .then((answer) => answers.push(answer))
            .catch((error: unknown) => refusals.push(refusalOf(member, error)))
            .then(onOne)
            .catch(reject);
      });
    } finally {
      ended.abort();
      for (const { partial } of answers) partial.signature.fill(0);
    }
  }

  #combine(
    answers: readonly Answer[],
    threshold: number,
    message: Uint8Array,
    publicKey: Uint8Array,
  ): SecretBytes | undefined {
    for (const generation of new Set(answers.map((answer) => answer.generation))) {
      const partials = answers.filter((answer) => answer.generation === generation).map(({ partial }) => partial);
      // With a wrong part among them another choice may do: the last that came takes turns with all before it.
      for (const chosen of choicesWithLast(partials, threshold)) {
        try {
          const { signature } = combineVerified(chosen, {
            message,
            publicKey,
            threshold,
            verify: verifySignatureNative,
            uncompress: uncompressG2Native,
          });
          return new SecretBytes(signature);
        } catch (error) {
          if (!(error instanceof CloisterError)) throw error;
        }
      }
    }
    return undefined;
  }

  async #ask(
    member: CommitteeMember,
    request: SignedKeyRequest,
    hpke: X25519KeyPair,
    signal: AbortSignal,
  ): Promise<Answer> {
    return withDeadline(
      { timeoutMs: memberTimeoutMs, signal, what: `Gatekeeper ${member.operator}` },
      async (inner) => {
        const response = await this.#fetch(`${member.endpoint}/v1/keys`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(signedKeyRequestToJson(request)),
          signal: inner,
          redirect: 'error',
        });
        const bytes = await readBounded(response, maxAnswerBytes);
        const json = parseBoundedJson(bytes, maxAnswerBytes, 'key answer');
        if (!response.ok) throw memberRefusedBy(json);
        const answer = parseSealedKeyAnswer(json);
        const sealed = fromHex(answer.sealed);
        const digest = keyRequestDigest(this.#domain, request);
        const signed = keyAnswerDigest(this.#domain, {
          request: digest,
          generation: answer.generation,
          index: answer.index,
          sealedHash: toHex(keccak256(sealed)) as Bytes32,
        });
        if (recoverAddress(fromHex(signed), fromHex(answer.signature)) !== member.signer)
          throw new Error('its answer is signed by another');
        const signature = await hpkeOpen(hpke, info, fromHex(digest), sealed);
        return { generation: answer.generation, partial: { index: answer.index, signature } };
      },
    );
  }

  get #domain() {
    const { chainId, contracts } = this.#components.network;
    return { chainId, registry: contracts.workerRegistry };
  }
}

function refusalOf({ operator }: CommitteeMember, error: unknown): MemberRefusal {
  if (error instanceof MemberRefusedError) return { member: operator, code: error.code, message: error.message };
  return { member: operator, code: 'NO_ANSWER', message: describeError(error) };
}

/** Rules that waiting may satisfy: another epoch, a member that has fallen behind. */
const passing = new Set([
  ...['NO_ANSWER', 'KEY_REQUEST_STALE', 'KEY_NO_SHARES', 'KEY_ROUND_AHEAD', 'GATEKEEPER_BUSY', 'INTERNAL', 'REFUSED'],
  ...['PLACEMENT_PENDING', 'BEACON_ROUND_AHEAD', 'BEACON_NO_SHARES', 'BEACON_UNAVAILABLE', 'BLOB_UNAVAILABLE'],
]);

function failure(threshold: number, answered: number, refusals: readonly MemberRefusal[]): KeyClientError {
  const final = refusals.filter(({ code }) => !passing.has(code) && !code.startsWith('CHAIN_'));
  const [first] = final;
  if (first !== undefined && final.length > refusals.length + answered - threshold)
    return new KeyClientError('KEYS_REFUSED', `The committee does not give this key: ${first.message}`, refusals);
  const reasons = refusals.map(({ member, message }) => `${member.slice(0, 10)}: ${message}`).join('; ');
  const said = reasons === '' ? '' : ` (${reasons})`;
  return answered >= threshold
    ? new MixedPartsError(
        `Of "${threshold}" gatekeepers needed, "${answered}" gave their part, and these do not fit together${said}`,
        refusals,
      )
    : new KeyClientError(
        'KEYS_UNAVAILABLE',
        `Of "${threshold}" gatekeepers needed, "${answered}" gave their part${said}`,
        refusals,
      );
}

export type KeyClientErrorCode = 'KEYS_ABSENT' | 'KEYS_REFUSED' | 'KEYS_UNAVAILABLE';

export class KeyClientError extends CloisterError<KeyClientErrorCode> {
  override readonly name = 'KeyClientError';
  constructor(code: KeyClientErrorCode, message: string, refusals: readonly { readonly code: string }[]) {
    super({
      code,
      message,
      meta: { codes: refusals.map((refusal) => refusal.code) },
      retry: code === 'KEYS_UNAVAILABLE',
    });
  }
}

/** Enough answered, but no threshold of them in one generation and rightly: some had handed over when they answered, some had not. */
class MixedPartsError extends KeyClientError {
  constructor(message: string, refusals: readonly MemberRefusal[]) {
    super('KEYS_UNAVAILABLE', message, refusals);
  }
}
