import { textOf, utf8 } from './bytes.ts';

/** Percent-encode sets, each with what it has beyond C0 controls and everything above "~" (URL Standard §1.3). */
const fragment = ' "<>`';
const query = ' "#<>';
const path = `${query}?^\`{}`;
const userinfo = `${path}/:;=@[\\]|`;
export const encodeSets = { control: '', fragment, query, specialQuery: `${query}'`, path, userinfo } as const;

/** A text with what the set names written as "%" and two digits for each byte. */
export function percentEncode(text: string, set: string): string {
  if (/^[\w.~%-]*$/.test(text)) return text;
  let encoded = '';
  for (const character of text.toWellFormed()) {
    const code = character.codePointAt(0) ?? 0;
    if (code > 0x1f && code <= 0x7e && !set.includes(character)) encoded += character;
    else for (const byte of new Uint8Array(utf8(character))) encoded += percentByte(byte);
  }
  return encoded;
}

export function percentByte(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** The text with each "%" and two digits as the byte that they are, read as UTF-8. */
export function percentDecode(text: string): string {
  if (!text.includes('%')) return text;
  const from = new Uint8Array(utf8(text));
  const to = new Uint8Array(from.length);
  let length = 0;
  for (let at = 0; at < from.length; at += 1) {
    const digits = String.fromCharCode(from[at + 1] ?? 0, from[at + 2] ?? 0);
    const isEscape = from[at] === 0x25 && /^[0-9A-Fa-f]{2}$/.test(digits);
    to[length] = isEscape ? Number.parseInt(digits, 16) : (from[at] ?? 0);
    length += 1;
    if (isEscape) at += 2;
  }
  return textOf(to.buffer.slice(0, length));
}
