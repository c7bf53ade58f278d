import { expect, test } from 'vitest';
import { type ArgumentRule, compileFilter, type FilterPlan, type Verdict } from './compileFilter.ts';
import { jailFilter } from './jailFilter.ts';
import { systemCallNumber } from './systemCalls.ts';

const auditArchitecture = 0xc000_003e;
const runs = process.env.CLOISTER_LONG === '1' ? 2000 : 16;

type Call = { readonly number: number; readonly args?: readonly number[]; readonly architecture?: number };

/** What the kernel's interpreter answers: SECCOMP_RET_* with its data. */
function interpret(filter: Buffer, { number, args = [], architecture = auditArchitecture }: Call): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number >>> 0, 0);
  data.writeUInt32LE(architecture, 4);
  args.forEach((value, index) => void data.writeUInt32LE(value >>> 0, 16 + 8 * index));
  let accumulator = 0;
  for (let at = 0; at < filter.length / 8; at += 1) {
    const [code, k] = [filter.readUInt16LE(at * 8), filter.readUInt32LE(at * 8 + 4)];
    const [jumpTrue, jumpFalse] = [filter.readUInt8(at * 8 + 2), filter.readUInt8(at * 8 + 3)];
    const branch = (taken: boolean): void => {
      at += taken ? jumpTrue : jumpFalse;
    };
    if (code === 0x20) accumulator = data.readUInt32LE(k);
    else if (code === 0x15) branch(accumulator === k);
    else if (code === 0x35) branch(accumulator >= k);
    else if (code === 0x45) branch((accumulator & k) !== 0);
    else if (code === 0x05) at += k;
    else if (code === 0x06) return k;
    else throw new Error(`Instruction 0x${code.toString(16)}`);
  }
  throw new Error('The filter ends without an answer');
}

function expected(plan: FilterPlan, { number, args = [] }: Call): number {
  const rule = plan.others.get(number) ?? (plan.allowed.includes(number) ? { allow: true as const } : plan.otherwise);
  return encoded('argument' in rule ? byArgument(rule, args[rule.argument] ?? 0) : rule);
}

function byArgument(rule: ArgumentRule, value: number): Verdict {
  const holds = 'oneOf' in rule ? rule.oneOf.includes(value) : (value & rule.withoutBits) === 0;
  return holds ? { allow: true } : rule.otherwise;
}

function encoded(verdict: Verdict): number {
  if ('allow' in verdict) return 0x7fff_0000;
  return 'kill' in verdict ? 0x8000_0000 : 0x0005_0000 | verdict.errno;
}

test('answers each call as its plan says, whatever the plan', () => {
  let state = 20_261_127;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let run = 0; run < runs; run += 1) {
    const allowed = Array.from({ length: random(200) }, () => random(500));
    const others = new Map<number, Verdict | ArgumentRule>();
    for (let count = random(20); count > 0; count -= 1) {
      const otherwise: Verdict = { errno: 1 + random(130) };
      const argument = random(6);
      const kinds = [
        otherwise,
        { kill: true } as const,
        { argument, oneOf: Array.from({ length: 1 + random(4) }, () => random(6)), otherwise },
        { argument, withoutBits: 1 << random(31), otherwise },
      ];
      others.set(random(500), kinds[random(kinds.length)] as Verdict);
    }
    const plan: FilterPlan = { auditArchitecture, allowed, others, otherwise: { errno: 38 } };
    const filter = compileFilter(plan);
    const wrong: object[] = [];
    for (let number = 0; number < 520; number += 1) {
      const call = { number, args: Array.from({ length: 6 }, () => (random(2) === 0 ? random(6) : random(2 ** 32))) };
      if (interpret(filter, call) !== expected(plan, call)) wrong.push({ run, call });
    }
    expect(wrong).toEqual([]);
  }
});

test('ends a process that calls by another convention, and knows no call beyond the last', () => {
  const filter = compileFilter({ auditArchitecture, allowed: [0], others: new Map(), otherwise: { errno: 38 } });
  expect(interpret(filter, { number: 0 })).toBe(0x7fff_0000);
  // AUDIT_ARCH_I386.
  expect(interpret(filter, { number: 0, architecture: 0x4000_0003 })).toBe(0x8000_0000);
  // The bit of x32's calls, and -1.
  for (const number of [0x4000_0000, -1]) expect(interpret(filter, { number })).toBe(0x0005_0000 + 38);
});

test('refuses a plan that is longer than the kernel takes', () => {
  const allowed = Array.from({ length: 3000 }, (_, index) => index * 2);
  expect(() => compileFilter({ auditArchitecture, allowed, others: new Map(), otherwise: { errno: 1 } })).toThrow(
    /^A filter of \d+ instructions, where 4096 are the most$/,
  );
});

test("a jail's filter refuses by name what leads to other namespaces, tracing, keys and networks", () => {
  const filter = jailFilter('x64') as Buffer;
  const answer = (name: string, ...args: number[]): number =>
    interpret(filter, { number: systemCallNumber(name), args }) & 0xffff_ffff;
  for (const name of ['read', 'mmap', 'execve', 'futex', 'epoll_wait', 'accept4', 'exit_group', 'rseq'])
    expect([name, answer(name)]).toEqual([name, 0x7fff_0000]);
  for (const name of ['ptrace', 'unshare', 'setns', 'mount', 'setuid', 'bpf', 'keyctl', 'process_vm_readv'])
    expect([name, answer(name)]).toEqual([name, 0x0005_0001]);
  for (const name of ['clone3', 'io_uring_setup', 'shmget', 'mq_open', 'semget', 'memfd_secret', 'open_by_handle_at'])
    expect([name, answer(name)]).toEqual([name, 0x0005_0026]);
  expect(answer('socket', 1)).toBe(0x7fff_0000);
  for (const family of [0, 2, 10, 16, 17, 38, 40]) expect(answer('socket', family)).toBe(0x0005_0061);
  expect(answer('socketpair', 1)).toBe(0x7fff_0000);
  expect(answer('socketpair', 2)).toBe(0x0005_0061);
  // What pthread_create asks of clone(2), and then each namespace's flag.
  expect(answer('clone', 0x003d_0f00)).toBe(0x7fff_0000);
  for (const flag of [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000])
    expect(answer('clone', 0x11 + flag)).toBe(0x0005_0001);
  expect(jailFilter('arm64')).toBeUndefined();
});

test('knows the numbers of system calls, and none that there is not', () => {
  const known = { read: 0, execve: 59, rt_sigreturn: 15, gettid: 186, openat: 257, seccomp: 317, rseq: 334 };
  const later = { pidfd_send_signal: 424, io_uring_setup: 425, clone3: 435, futex_waitv: 449, futex_requeue: 456 };
  for (const [name, number] of Object.entries({ ...known, ...later })) expect(systemCallNumber(name)).toBe(number);
  expect(() => systemCallNumber('nonsense')).toThrow('No system call "nonsense"');
});
