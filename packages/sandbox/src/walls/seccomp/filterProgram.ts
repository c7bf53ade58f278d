/** What the program ends with where the kernel takes no filter, or can't run what it was given. */
export const filterRefused = 93;

/**
 * The code, for Linux on x64, as `as` makes it of these lines; `program` is what lies behind it.
 *
 *     prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)                      or exit(93)
 *     seccomp(SECCOMP_SET_MODE_FILTER, 0, &program)               or exit(93)
 *     argc >= 2                                                   or exit(93)
 *     execve(argv[1], &argv[1], envp); exit(93)
 */
const code = Buffer.from(
  [
    'b89d000000', // mov eax, 157 (prctl)
    'bf26000000', // mov edi, 38
    'be01000000', // mov esi, 1
    '31d24531d24531c0', // xor edx, edx; xor r10d, r10d; xor r8d, r8d
    '0f05', // syscall
    '4885c07538', // test rax, rax; jnz fail
    'b83d010000', // mov eax, 317 (seccomp)
    'bf01000000', // mov edi, 1
    '31f6', // xor esi, esi
    '488d1537000000', // lea rdx, [rip + program]
    '0f05', // syscall
    '4885c0751e', // test rax, rax; jnz fail
    '488b0c24', // mov rcx, [rsp]
    '4883f9027c14', // cmp rcx, 2; jl fail
    '488d742410', // lea rsi, [rsp + 16]
    '488b3e', // mov rdi, [rsi]
    '488d54cc10', // lea rdx, [rsp + rcx * 8 + 16]
    'b83b000000', // mov eax, 59 (execve)
    '0f05', // syscall
    'bf5d000000', // fail: mov edi, 93
    'b83c000000', // mov eax, 60 (exit)
    '0f05', // syscall
    '660f1f440000', // up to a multiple of 8
  ].join(''),
  'hex',
);
const base = 0x40_0000n;
const headBytes = 64 + 56;

/**
 * A program for Linux on x64 that puts itself under the filter, which holds for all that comes of it, and then becomes the command that
 * follows it: the tools that every system has can't do that (util-linux before 2.40), and bubblewrap is not on each.
 * @param filter an array of `struct sock_filter`, as `compileFilter` makes it
 */
export function filterProgram(filter: Buffer): Buffer {
  // struct sock_fprog { unsigned short len; struct sock_filter *filter; }
  const program = Buffer.alloc(16);
  program.writeUInt16LE(filter.length / 8, 0);
  program.writeBigUInt64LE(base + BigInt(headBytes + code.length + program.length), 8);
  const body = Buffer.concat([code, program, filter]);
  const size = BigInt(headBytes + body.length);

  // An executable of 64 bits, little-endian, for x64 (elf(5)), with one segment to read and to run: all of it.
  const fileHead = Buffer.alloc(64);
  fileHead.write('7f454c46020101', 'hex');
  fileHead.writeUInt16LE(2, 16);
  fileHead.writeUInt16LE(62, 18);
  fileHead.writeUInt32LE(1, 20);
  fileHead.writeBigUInt64LE(base + BigInt(headBytes), 24);
  fileHead.writeBigUInt64LE(64n, 32);
  fileHead.writeUInt16LE(64, 52);
  fileHead.writeUInt16LE(56, 54);
  fileHead.writeUInt16LE(1, 56);
  const segment = Buffer.alloc(56);
  segment.writeUInt32LE(1, 0);
  segment.writeUInt32LE(5, 4);
  segment.writeBigUInt64LE(base, 16);
  segment.writeBigUInt64LE(base, 24);
  segment.writeBigUInt64LE(size, 32);
  segment.writeBigUInt64LE(size, 40);
  segment.writeBigUInt64LE(0x1000n, 48);
  return Buffer.concat([fileHead, segment, body]);
}
