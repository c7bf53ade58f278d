import { type Address, type Bytes32, CloisterError, isHexOf } from '@cloister/core';

/** A whole number that an option gives. Throws OPTION_VALUE_INVALID. */
export function wholeNumber(option: string, text: string): number {
  if (/^[0-9]{1,12}$/.test(text)) return Number(text);
  throw new OptionValueError(option, text, 'a whole number');
}

const byteUnits: Readonly<Record<string, bigint>> = { KiB: 1n << 10n, MiB: 1n << 20n, GiB: 1n << 30n, TiB: 1n << 40n };

/** A size in bytes. Throws OPTION_VALUE_INVALID. */
export function byteCount(option: string, text: string): bigint {
  const [, digits, unit = ''] = /^([0-9]{1,12})([KMGT]iB)?$/.exec(text) ?? [];
  if (digits === undefined) throw new OptionValueError(option, text, 'a size such as 512MiB or 2GiB');
  return BigInt(digits) * (byteUnits[unit] ?? 1n);
}

/** Of PHA, and of the chain's own currency. */
const decimalPlaces = 18;

/** An amount of PHA with up to 18 decimals, as the token counts it. Throws OPTION_VALUE_INVALID. */
export function phaAmount(option: string, text: string): bigint {
  return decimalAmount(option, text, 'PHA');
}

/** An amount of the chain's own currency, in wei. Throws OPTION_VALUE_INVALID. */
export function etherAmount(option: string, text: string): bigint {
  return decimalAmount(option, text, 'ether');
}

function decimalAmount(option: string, text: string, unit: string): bigint {
  const match = /^([0-9]{1,12})(?:\.([0-9]{1,18}))?$/.exec(text);
  if (match === null) throw new OptionValueError(option, text, `an amount of ${unit} such as 12 or 0.5`);
  const [, whole = '0', decimals = ''] = match;
  return BigInt(whole) * 10n ** BigInt(decimalPlaces) + BigInt(decimals.padEnd(decimalPlaces, '0'));
}

/** The same for people, exact. */
export function phaText(amount: bigint): string {
  const digits = amount.toString().padStart(decimalPlaces + 1, '0');
  const decimals = digits.slice(-decimalPlaces).replace(/0+$/, '');
  return `${digits.slice(0, -decimalPlaces)}${decimals === '' ? '' : `.${decimals}`} PHA`;
}

/** A part of a hundred with up to two decimals, in ten-thousandths. Throws OPTION_VALUE_INVALID. */
export function percentBps(option: string, text: string): number {
  const match = /^([0-9]{1,3})(?:\.([0-9]{1,2}))?$/.exec(text);
  const bps = match === null ? Number.NaN : Number(match[1]) * 100 + Number((match[2] ?? '').padEnd(2, '0'));
  if (bps >= 0 && bps <= 10_000) return bps;
  throw new OptionValueError(option, text, 'a percentage such as 5 or 2.5');
}

/** The same for people. */
export function percentText(bps: number): string {
  return `${bps / 100} %`;
}

/** A time for people: when, and how far it is from now by the chain's clock. */
export function momentText(unixSeconds: bigint, nowSeconds: bigint): string {
  const at = new Date(Number(unixSeconds) * 1_000).toISOString().replace('.000', '');
  const away = Number(unixSeconds - nowSeconds);
  return `${at} (${away >= 0 ? `in ${spanText(away)}` : `${spanText(-away)} ago`})`;
}

function spanText(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} days`;
}

/** An account's address. Throws OPTION_VALUE_INVALID. */
export function addressValue(option: string, text: string): Address {
  const address = text.toLowerCase();
  if (isHexOf(address, 20)) return address;
  throw new OptionValueError(option, text, 'an address (0x and 40 hexadecimal digits)');
}

/** An id of 32 bytes. Throws OPTION_VALUE_INVALID. */
export function idValue(option: string, text: string): Bytes32 {
  const id = text.toLowerCase();
  if (isHexOf(id, 32)) return id;
  throw new OptionValueError(option, text, 'an id (0x and 64 hexadecimal digits)');
}

/** What an option says as NAME=value, any number of times. Throws OPTION_VALUE_INVALID. */
export function namedValues(option: string, items: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    items.map((item) => {
      const at = item.indexOf('=');
      if (at < 1) throw new OptionValueError(option, item, 'NAME=value');
      return [item.slice(0, at), item.slice(at + 1)];
    }),
  );
}

export class OptionValueError extends CloisterError<'OPTION_VALUE_INVALID'> {
  override readonly name = 'OptionValueError';
  constructor(option: string, value: string, expected: string) {
    super({
      code: 'OPTION_VALUE_INVALID',
      message: `Expected ${option} to be ${expected}, got ${value === '' ? 'none' : `"${value.slice(0, 80)}"`}`,
    });
  }
}
