import type { ProposedCall } from '@cloister/chain';
import { type Address, type Hex, schema as z } from '@cloister/core';
import type { NamedContract } from './namedContracts.ts';
import { readCall } from './readCall.ts';

/** A proposal as somebody writes it down: each call as `Contract.function(arguments)`, or by its address and bytes. */
export type WrittenProposal = {
  readonly title: string;
  readonly description?: string;
  readonly calls: readonly (string | { readonly target: Address; readonly data: Hex; readonly value?: string })[];
};

/** `CloisterGovernor.MAX_ACTS`, MAX_CALLS and MAX_DESCRIPTION. */
const maxCalls = 32;
const maxDataBytes = 32_768;
const maxTextLength = 16_384;

const callsJson = z
  .array(
    z.union([
      z.text(2 * maxDataBytes),
      z.strictObject({
        target: z.address,
        data: z.hexBetween(0, maxDataBytes),
        value: z.optional(z.uintText(256)),
      }),
    ]),
  )
  .check(z.refineArray(1, maxCalls));
const fileJson = z.strictObject({
  title: z.text(200),
  description: z.optional(z.text(maxTextLength)),
  calls: callsJson,
});

/**
 * Reads what {@link WrittenProposal} says, or its calls alone, which have no description. Throws SchemaError, and GovernanceError for a
 * call that can't be read.
 */
export function readProposalFile(
  json: unknown,
  contracts: readonly NamedContract[],
): { readonly calls: readonly ProposedCall[]; readonly description?: string } {
  if (Array.isArray(json))
    return { calls: readCalls(z.parseWith(callsJson, json, 'calls') as WrittenProposal['calls'], contracts) };
  const { title, description, calls } = z.parseWith(fileJson, json, 'proposal') as WrittenProposal;
  return { calls: readCalls(calls, contracts), description: describeProposal(title, description) };
}

function readCalls(calls: WrittenProposal['calls'], contracts: readonly NamedContract[]): readonly ProposedCall[] {
  return calls.map((call) =>
    typeof call === 'string'
      ? readCall(call, contracts)
      : { target: call.target, data: call.data, value: BigInt(call.value ?? 0) },
  );
}

/** The text that a proposal carries: its title as the first line, as a heading. */
export function describeProposal(title: string, description = ''): string {
  return description === '' ? `# ${title}` : `# ${title}\n\n${description}`;
}
