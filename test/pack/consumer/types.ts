// Type-checked outside the repository against the packed declarations, with every library's declarations checked too.
import { type CallResult, CloisterError, createClient, type NetworkFile, type ProofFile } from '@cloister/sdk';

export async function ask(network: NetworkFile, app: `0x${string}`): Promise<CallResult> {
  const client = createClient({ network });
  return client.call(app, { method: 'POST', body: new Uint8Array([1]) });
}

export function prove(network: NetworkFile, result: CallResult): ProofFile {
  return createClient({ network }).proof(result, { answer: false });
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof CloisterError ? error.code : undefined;
}

// @ts-expect-error an app id is hexadecimal
export const wrong = (network: NetworkFile) => createClient({ network }).call('not an id');
