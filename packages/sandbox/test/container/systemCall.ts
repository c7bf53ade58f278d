/**
 * A program for Linux on x64 that makes one system call and ends with its error's number, or 0 where it succeeds: what no
 * runtime of a language lets anybody ask for.
 */
export function systemCall(number: number, args: readonly (number | bigint)[]): Buffer {
  const load = (prefix: number[], value: number | bigint): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
    return Buffer.concat([Buffer.from(prefix), bytes]);
  };
  // mov to rax, then to rdi, rsi, rdx, r10, r8, r9, which hold the arguments.
  const registers = [
    [0x48, 0xbf],
    [0x48, 0xbe],
    [0x48, 0xba],
    [0x49, 0xba],
    [0x49, 0xb8],
    [0x49, 0xb9],
  ];
  const code = Buffer.concat([
    load([0x48, 0xb8], number),
    ...registers.map((prefix, index) => load(prefix, args[index] ?? 0)),
    Buffer.from('0f05', 'hex'),
    // rdi is the error's number: minus what came back, or 0 where that is not negative; then exit(2).
    Buffer.from('4889c748f7df4885ff7f0231ffb83c0000000f05', 'hex'),
  ]);
  const base = 0x40_0000n;
  const [fileHead, programHead] = [Buffer.alloc(64), Buffer.alloc(56)];
  fileHead.write('7f454c46020101', 'hex');
  // An executable for x64 that begins after both heads, of which the second is one (elf(5)).
  fileHead.writeUInt16LE(2, 16);
  fileHead.writeUInt16LE(62, 18);
  fileHead.writeUInt32LE(1, 20);
  fileHead.writeBigUInt64LE(base + 120n, 24);
  fileHead.writeBigUInt64LE(64n, 32);
  fileHead.writeUInt16LE(64, 52);
  fileHead.writeUInt16LE(56, 54);
  fileHead.writeUInt16LE(1, 56);
  // One segment, to read and to run: the whole file.
  programHead.writeUInt32LE(1, 0);
  programHead.writeUInt32LE(5, 4);
  programHead.writeBigUInt64LE(base, 16);
  programHead.writeBigUInt64LE(base, 24);
  programHead.writeBigUInt64LE(BigInt(120 + code.length), 32);
  programHead.writeBigUInt64LE(BigInt(120 + code.length), 40);
  programHead.writeBigUInt64LE(0x1000n, 48);
  return Buffer.concat([fileHead, programHead, code]);
}
