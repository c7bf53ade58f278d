import { randomBytes, SecretBytes } from '@cloister/crypto';
import { groupOrder } from './lagrange.ts';
import { ThresholdError } from './thresholdError.ts';

/**
 * Numbers modulo the group order that must not leak: 32 bytes, big-endian, in SecretBytes. Arithmetic runs over
 * sixteen 16-bit limbs without branches or look-ups that depend on them (Montgomery, CIOS), and overwrites what it
 * used: a BigInt would leave copies in memory that nobody can wipe.
 */
const limbs = 16;
const order = limbsOf(groupOrder);
/** 2^512 mod r: brings a number into Montgomery form. */
const r2 = limbsOf(2n ** 512n % groupOrder);
const one = limbsOf(1n);
/** −r^−1 mod 2^16: the order's lowest limb is 1. */
const negatedInverse = 0xffff;
export const scalarLength = 32;

/** A uniform number of 1 to r − 1, from 48 random bytes (bias below 2^−128). */
export function randomScalar(): SecretBytes {
  for (;;) {
    const bytes = randomBytes(48);
    const scalar = scalarFromWide(bytes);
    bytes.fill(0);
    if (!isZero(scalar)) return scalar;
  }
}

/** 48 big-endian bytes modulo r. The caller wipes them. */
export function scalarFromWide(bytes: Uint8Array): SecretBytes {
  if (bytes.length !== 48) throw new ThresholdError('SCALAR_INVALID', `Expected 48 bytes, got "${bytes.length}"`);
  const padded = new Uint8Array(32);
  padded.set(bytes.subarray(0, 16), 16);
  const [high, low] = [toLimbs(padded), toLimbs(bytes.subarray(16))];
  padded.fill(0);
  // Montgomery form of high · 2^256 + low: each conversion multiplies by 2^256.
  const sum = add(multiply(multiply(high, r2), r2), multiply(low, r2));
  return finish(multiply(sum, one), high, low, sum);
}

/** Checks 32 bytes from outside: a number of 1 to r − 1. Takes them over. Throws SCALAR_INVALID. */
export function parseScalar(bytes: Uint8Array): SecretBytes {
  const secret = new SecretBytes(bytes);
  const value = bytes.length === scalarLength ? toLimbs(bytes) : undefined;
  const below = value !== undefined && borrowOf(value) === 1;
  value?.fill(0);
  if (!below || isZero(secret)) {
    secret.wipe();
    throw new ThresholdError('SCALAR_INVALID', 'Expected 32 bytes of a number from 1 to r − 1');
  }
  return secret;
}

/** Σ weight_i · value_i modulo r. Weights are public; the values stay the caller's. */
export function weightedSum(values: readonly SecretBytes[], weights: readonly bigint[]): SecretBytes {
  let sum = new Uint32Array(limbs);
  values.forEach((value, index) => {
    const limbsOfValue = toLimbs(value.reveal());
    const weight = limbsOf((((weights[index] ?? 0n) % groupOrder) + groupOrder) % groupOrder);
    const product = multiply(multiply(limbsOfValue, weight), r2);
    const next = add(sum, product);
    limbsOfValue.fill(0);
    product.fill(0);
    sum.fill(0);
    sum = next;
  });
  return finish(sum);
}

/** The polynomial with these coefficients, constant term first, at a public point. */
export function evaluateAt(coefficients: readonly SecretBytes[], x: number): SecretBytes {
  let power = 1n;
  const weights = coefficients.map(() => {
    const weight = power;
    power = (power * BigInt(x)) % groupOrder;
    return weight;
  });
  return weightedSum(coefficients, weights);
}

function isZero(scalar: SecretBytes): boolean {
  return scalar.reveal().reduce((all, byte) => all | byte, 0) === 0;
}

/** a · b / 2^256 modulo r, for a below 2^256 and b below r. */
function multiply(a: Uint32Array, b: Uint32Array): Uint32Array<ArrayBuffer> {
  const t = new Uint32Array(limbs + 2);
  for (let i = 0; i < limbs; i++) {
    let carry = 0;
    for (let j = 0; j < limbs; j++) {
      // At most (2^16 − 1)^2 + 2 · (2^16 − 1): fits 32 bits.
      const sum = (t[j] as number) + (Math.imul(a[i] as number, b[j] as number) >>> 0) + carry;
      t[j] = sum & 0xffff;
      carry = sum >>> 16;
    }
    const top = (t[limbs] as number) + carry;
    t[limbs] = top & 0xffff;
    t[limbs + 1] = top >>> 16;
    const m = Math.imul(t[0] as number, negatedInverse) & 0xffff;
    carry = ((t[0] as number) + Math.imul(m, order[0] as number)) >>> 16;
    for (let j = 1; j < limbs; j++) {
      const sum = (t[j] as number) + (Math.imul(m, order[j] as number) >>> 0) + carry;
      t[j - 1] = sum & 0xffff;
      carry = sum >>> 16;
    }
    const last = (t[limbs] as number) + carry;
    t[limbs - 1] = last & 0xffff;
    t[limbs] = (t[limbs + 1] as number) + (last >>> 16);
  }
  const result = subtractOrder(t.subarray(0, limbs), t[limbs] as number);
  t.fill(0);
  return result;
}

/** a + b modulo r, both below r. */
function add(a: Uint32Array, b: Uint32Array): Uint32Array<ArrayBuffer> {
  const sum = new Uint32Array(limbs);
  let carry = 0;
  for (let i = 0; i < limbs; i++) {
    const total = (a[i] as number) + (b[i] as number) + carry;
    sum[i] = total & 0xffff;
    carry = total >>> 16;
  }
  const result = subtractOrder(sum, carry);
  sum.fill(0);
  return result;
}

/** value − r where value (with its carry) is not below r, else value. */
function subtractOrder(value: Uint32Array, carry: number): Uint32Array<ArrayBuffer> {
  const difference = new Uint32Array(limbs);
  let borrow = 0;
  for (let i = 0; i < limbs; i++) {
    const total = (value[i] as number) - (order[i] as number) - borrow;
    difference[i] = total & 0xffff;
    borrow = (total >>> 16) & 1;
  }
  const keep = -(borrow & (carry ^ 1));
  for (let i = 0; i < limbs; i++) difference[i] = ((difference[i] as number) & ~keep) | ((value[i] as number) & keep);
  return difference;
}

/** 1 where the value is below r. */
function borrowOf(value: Uint32Array): number {
  let borrow = 0;
  for (let i = 0; i < limbs; i++) borrow = (((value[i] as number) - (order[i] as number) - borrow) >>> 16) & 1;
  return borrow;
}

function toLimbs(bytes: Uint8Array): Uint32Array<ArrayBuffer> {
  const result = new Uint32Array(limbs);
  for (let i = 0; i < limbs; i++) result[i] = ((bytes[30 - 2 * i] as number) << 8) | (bytes[31 - 2 * i] as number);
  return result;
}

function limbsOf(value: bigint): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: limbs }, (_, index) => Number((value >> BigInt(16 * index)) & 0xffffn));
}

/** The limbs as bytes; they and the scratch are overwritten. */
function finish(value: Uint32Array, ...scratch: readonly Uint32Array[]): SecretBytes {
  const bytes = new Uint8Array(scalarLength);
  for (let i = 0; i < limbs; i++) {
    bytes[30 - 2 * i] = (value[i] as number) >>> 8;
    bytes[31 - 2 * i] = (value[i] as number) & 0xff;
  }
  for (const limb of [value, ...scratch]) limb.fill(0);
  return new SecretBytes(bytes);
}
