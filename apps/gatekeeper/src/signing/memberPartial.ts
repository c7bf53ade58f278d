import type { Hex } from '@cloister/core';

/** A member's part of a signature, not yet verified. The index counts from 1. */
export type MemberPartial = { readonly generation: bigint; readonly index: number; readonly signature: Hex };
