import { CloisterError } from '@cloister/core';

/** A whole number that an option gives. Throws OPTION_VALUE_INVALID. */
export function wholeNumber(option: string, text: string): number {
  if (/^[0-9]{1,12}$/.test(text)) return Number(text);
  throw new OptionValueError(option, text, 'a whole number');
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
      message: `Expected ${option} to be ${expected}, got "${value.slice(0, 80)}"`,
    });
  }
}
