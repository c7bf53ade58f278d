import { type Address, type Bytes32, type NetworkFile, zeroAddress, zeroBytes32 } from '@cloister/core';
import type { ChainView } from './chainView.ts';
import { gatekeeperCommitteeAbi, imageRegistryAbi } from './generated/index.ts';

/** An image as its registry has it. Times in unix seconds. */
export type ImageStatus = {
  /** Whether it counts at the block's own time. */
  readonly allowed: boolean;
  /** Undefined where it was never allowed, or was taken back. */
  readonly window: { readonly notBefore: bigint; readonly expiresAt: bigint } | undefined;
  /** sha256 of the recipe that it was allowed with; undefined where there is none. */
  readonly recipe: Bytes32 | undefined;
};

/** What holds for every image of a registry. */
export type ImageRules = {
  /** Seconds between allowing an image and its first registration, at the least. */
  readonly noticeSeconds: bigint;
  /** Who may shorten images' lives now, and until when; undefined where nobody may but governance. */
  readonly guardian: { readonly account: Address; readonly until: bigint } | undefined;
};

/** The registry of images of workers, or of gatekeepers, through a {@link ChainView}: at the newest block on which all RPCs agree. */
export class ImageRegistryReader {
  readonly view: ChainView;
  readonly address: Address;

  constructor(view: ChainView, address: Address) {
    this.view = view;
    this.address = address;
  }

  /** The one in which gatekeepers' images stand. Throws ChainError. */
  static async ofGatekeepers(
    view: ChainView,
    { gatekeeperCommittee }: Pick<NetworkFile['contracts'], 'gatekeeperCommittee'>,
    signal?: AbortSignal,
  ): Promise<ImageRegistryReader> {
    const committee = { address: gatekeeperCommittee, abi: gatekeeperCommitteeAbi } as const;
    const address = await view.read({ ...committee, functionName: 'imageRegistry', args: [] }, signal);
    return new ImageRegistryReader(view, address.toLowerCase() as Address);
  }

  /** Throws ChainError. */
  async image(imageId: Bytes32, signal?: AbortSignal): Promise<ImageStatus> {
    const { number: block } = await this.view.head(signal);
    const of = { args: [imageId], block } as const;
    const [allowed, [notBefore, expiresAt], recipe] = await Promise.all([
      this.view.read({ ...this.#at('isImageAllowed'), ...of }, signal),
      this.view.read({ ...this.#at('imageWindow'), ...of }, signal),
      this.view.read({ ...this.#at('recipeOf'), ...of }, signal),
    ]);
    return {
      allowed,
      window: expiresAt === 0n ? undefined : { notBefore, expiresAt },
      recipe: recipe === zeroBytes32 ? undefined : recipe,
    };
  }

  /** Throws ChainError. */
  async rules(signal?: AbortSignal): Promise<ImageRules> {
    const { number: block } = await this.view.head(signal);
    const [noticeSeconds, guardian, until] = await Promise.all([
      this.view.read({ ...this.#at('notice'), args: [], block }, signal),
      this.view.read({ ...this.#at('guardian'), args: [], block }, signal),
      this.view.read({ ...this.#at('guardianUntil'), args: [], block }, signal),
    ]);
    const account = guardian.toLowerCase() as Address;
    return { noticeSeconds, guardian: account === zeroAddress ? undefined : { account, until } };
  }

  #at<const name extends string>(functionName: name) {
    return { address: this.address, abi: imageRegistryAbi, functionName };
  }
}
