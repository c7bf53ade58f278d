/** JSON of ASCII characters alone: as many bytes as characters. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const step = 2048;

/** The same with spaces after it, up to a multiple of 2,048 bytes: its length says little of what is in it. */
export function paddedJson(value: unknown): string {
  const text = asciiJson(value);
  return text.padEnd(Math.ceil(text.length / step) * step);
}
