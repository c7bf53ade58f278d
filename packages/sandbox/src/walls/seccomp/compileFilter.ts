/**
 * Programs for the kernel's filter of system calls (seccomp(2), Documentation/userspace-api/seccomp_filter.rst): classic BPF
 * over `struct seccomp_data { int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6]; }`, little-endian.
 */

/** What becomes of a call. */
export type Verdict = { readonly allow: true } | { readonly errno: number } | { readonly kill: true };

/** Decides about a call by the lower 32 bits of one of its arguments. */
export type ArgumentRule =
  | { readonly argument: number; readonly oneOf: readonly number[]; readonly otherwise: Verdict }
  | { readonly argument: number; readonly withoutBits: number; readonly otherwise: Verdict };

export type FilterPlan = {
  /** AUDIT_ARCH_* (linux/audit.h); a call by another convention ends the process. */
  readonly auditArchitecture: number;
  /** Numbers of calls that are always allowed. */
  readonly allowed: readonly number[];
  /** Calls that are refused with an error of their own, or looked at closer. */
  readonly others: ReadonlyMap<number, Verdict | ArgumentRule>;
  /** What becomes of all else. */
  readonly otherwise: Verdict;
};

type Range = { readonly from: number; readonly verdict: Verdict | ArgumentRule };
type Instruction = { readonly code: number; readonly jumpTrue: number; readonly jumpFalse: number; readonly k: number };

// linux/bpf_common.h: BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ, |BPF_JGE, |BPF_JSET, |BPF_JA, BPF_RET, all with BPF_K.
const [load, ifEqual, ifAtLeast, ifAnySet, jump, give] = [0x20, 0x15, 0x35, 0x45, 0x05, 0x06] as const;
const [numberOffset, architectureOffset, argumentsOffset] = [0, 4, 16] as const;
const [returnAllow, returnErrno, returnKillProcess] = [0x7fff_0000, 0x0005_0000, 0x8000_0000] as const;
/** BPF_MAXINSNS. */
const maxInstructions = 4096;

/** The filter as an array of `struct sock_filter` (8 bytes each). Throws RangeError where it is longer than the kernel takes. */
export function compileFilter(plan: FilterPlan): Buffer {
  const program = [
    { code: load, jumpTrue: 0, jumpFalse: 0, k: architectureOffset },
    { code: ifEqual, jumpTrue: 1, jumpFalse: 0, k: plan.auditArchitecture },
    answer({ kill: true }),
    { code: load, jumpTrue: 0, jumpFalse: 0, k: numberOffset },
    ...search(rangesOf(plan)),
  ];
  if (program.length > maxInstructions)
    throw new RangeError(`A filter of ${program.length} instructions, where ${maxInstructions} are the most`);
  return Buffer.concat(program.map(encode));
}

/** The line of all numbers from 0, cut where what becomes of a call changes. */
function rangesOf({ allowed, others, otherwise }: FilterPlan): Range[] {
  const ranges: Range[] = [];
  const beginAt = (from: number, verdict: Verdict | ArgumentRule): void => {
    if (ranges.at(-1)?.from === from) ranges.pop();
    if (JSON.stringify(ranges.at(-1)?.verdict) !== JSON.stringify(verdict)) ranges.push({ from, verdict });
  };
  const single = new Map<number, Verdict | ArgumentRule>(allowed.map((number) => [number, { allow: true }]));
  for (const [number, verdict] of others) single.set(number, verdict);
  beginAt(0, otherwise);
  for (const [number, verdict] of [...single].sort(([a], [b]) => a - b)) {
    beginAt(number, verdict);
    beginAt(number + 1, otherwise);
  }
  return ranges;
}

/** A binary search for the range that a number lies in. */
function search(ranges: readonly Range[]): Instruction[] {
  const [only] = ranges;
  if (only === undefined) throw new RangeError('A filter without ranges');
  if (ranges.length === 1) return decide(only.verdict);
  const middle = Math.ceil(ranges.length / 2);
  const [low, high] = [search(ranges.slice(0, middle)), search(ranges.slice(middle))];
  const from = (ranges[middle] as Range).from;
  // Conditional jumps reach 255 instructions far, this one any number.
  return [
    { code: ifAtLeast, jumpTrue: 0, jumpFalse: 1, k: from },
    { code: jump, jumpTrue: 0, jumpFalse: 0, k: low.length },
    ...low,
    ...high,
  ];
}

function decide(verdict: Verdict | ArgumentRule): Instruction[] {
  if (!('argument' in verdict)) return [answer(verdict)];
  const lower = { code: load, jumpTrue: 0, jumpFalse: 0, k: argumentsOffset + 8 * verdict.argument };
  const [allow, refuse] = [answer({ allow: true }), answer(verdict.otherwise)];
  if ('withoutBits' in verdict)
    return [lower, { code: ifAnySet, jumpTrue: 1, jumpFalse: 0, k: verdict.withoutBits }, allow, refuse];
  const tests = verdict.oneOf.map((k, index) => ({
    ...{ code: ifEqual, jumpTrue: verdict.oneOf.length - index, jumpFalse: 0, k },
  }));
  return [lower, ...tests, refuse, allow];
}

function answer(verdict: Verdict): Instruction {
  const k = 'allow' in verdict ? returnAllow : 'kill' in verdict ? returnKillProcess : returnErrno | verdict.errno;
  return { code: give, jumpTrue: 0, jumpFalse: 0, k };
}

function encode({ code, jumpTrue, jumpFalse, k }: Instruction): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(jumpTrue, 2);
  bytes.writeUInt8(jumpFalse, 3);
  bytes.writeUInt32LE(k >>> 0, 4);
  return bytes;
}
