import type { Bytes32, ProofFile } from '@cloister/sdk';

/** How something failed in the page: the code of our error, or null where it was another's. */
export type Failure = { readonly code: string | null; readonly message: string };

export type AppAt = {
  readonly app: Bytes32;
  readonly path?: string;
  /** In place of the gateways of the network file. */
  readonly gateway?: string;
};

type Steps = readonly { readonly id: string; readonly ok: boolean }[];

export type Called = {
  readonly outcome: string;
  readonly text: string;
  readonly steps: Steps;
  readonly proof: ProofFile;
  readonly verified: { readonly ok: boolean; readonly steps: Steps };
};

export type Chat = { readonly models: readonly string[]; readonly text: string };

export type SeenWorker = {
  readonly workerId: Bytes32;
  readonly refusal: { readonly code: string; readonly step: string } | undefined;
};

/** What the page can be asked to do, each with a new client. */
export type BrowserPage = {
  surroundings(): Promise<{ readonly isSecureContext: boolean; readonly origin: string }>;
  workers(at: Pick<AppAt, 'gateway'>): Promise<readonly SeenWorker[] | Failure>;
  call(at: AppAt): Promise<Called | Failure>;
  chat(at: AppAt): Promise<Chat | Failure>;
  chatStreamed(at: AppAt): Promise<{ readonly pieces: readonly string[] } | Failure>;
  streamBody(at: AppAt): Promise<string | Failure>;
  /** What can be read of an answer before anything else of it comes. */
  firstPart(at: AppAt): Promise<string | Failure>;
  talk(
    at: AppAt,
    words: readonly string[],
  ): Promise<{ readonly heard: readonly string[]; readonly receipt: string | undefined } | Failure>;
  deploy(
    key: string,
    name: string,
    source: string,
    secrets: Readonly<Record<string, string>>,
  ): Promise<Bytes32 | Failure>;
};
