import { encodeSets, percentDecode, percentEncode } from './percent.ts';

const forbiddenHost = /[\0\t\n\r #/:<>?@[\\\]^|]/;
const forbiddenDomain = /[\0-\x20#/:<>?@[\\\]^|%\x7f]/;

/** URL Standard §3.5; undefined where it fails. A domain must be ASCII: "xn--…" stands for others. */
export function parseHost(input: string, isSpecial: boolean): string | undefined {
  if (input.startsWith('[')) {
    const address = input.endsWith(']') ? parseIpv6(input.slice(1, -1)) : undefined;
    return address === undefined ? undefined : `[${ipv6Text(address)}]`;
  }
  if (!isSpecial) return forbiddenHost.test(input) ? undefined : percentEncode(input, encodeSets.control);
  const domain = percentDecode(input).toLowerCase();
  if (domain === '' || forbiddenDomain.test(domain) || /[^\0-\x7f]/.test(domain)) return undefined;
  if (!endsInNumber(domain)) return domain;
  const address = parseIpv4(domain);
  return address === undefined ? undefined : [24, 16, 8, 0].map((bits) => (address >>> bits) & 0xff).join('.');
}

function endsInNumber(domain: string): boolean {
  const parts = domain.split('.');
  if (parts.at(-1) === '') {
    if (parts.length === 1) return false;
    parts.pop();
  }
  const last = parts.at(-1) ?? '';
  return /^[0-9]+$/.test(last) || ipv4Number(last) !== undefined;
}

function parseIpv4(domain: string): number | undefined {
  const parts = domain.split('.');
  if (parts.at(-1) === '' && parts.length > 1) parts.pop();
  if (parts.length > 4) return undefined;
  let address = 0;
  for (const [index, part] of parts.entries()) {
    const number = ipv4Number(part);
    const isLast = index === parts.length - 1;
    if (number === undefined || number >= (isLast ? 256 ** (5 - parts.length) : 256)) return undefined;
    address += isLast ? number : number * 256 ** (3 - index);
  }
  return address;
}

/** Decimal, octal with a "0" or hexadecimal with a "0x" before it. */
function ipv4Number(part: string): number | undefined {
  if (part === '') return undefined;
  if (/^0[xX][0-9A-Fa-f]*$/.test(part)) return part.length === 2 ? 0 : Number.parseInt(part.slice(2), 16);
  if (/^0[0-7]*$/.test(part)) return Number.parseInt(part, 8);
  return /^[1-9][0-9]*$/.test(part) ? Number(part) : undefined;
}

/** Eight pieces of 16 bits. */
function parseIpv6(text: string): number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [front, back] = halves.map((half, index) => piecesOf(half, index === halves.length - 1));
  if (front === undefined || (halves.length === 2 && back === undefined)) return undefined;
  if (halves.length === 1) return front.length === 8 ? front : undefined;
  const missing = 8 - front.length - (back ?? []).length;
  return missing < 1 ? undefined : [...front, ...new Array<number>(missing).fill(0), ...(back ?? [])];
}

function piecesOf(half: string, mayEndInIpv4: boolean): number[] | undefined {
  if (half === '') return [];
  const pieces: number[] = [];
  const parts = half.split(':');
  for (const [index, part] of parts.entries()) {
    const ipv4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(part);
    if (ipv4 !== null && mayEndInIpv4 && index === parts.length - 1) {
      const [a = 0, b = 0, c = 0, d = 0] = ipv4.slice(1).map(Number);
      if ([a, b, c, d].some((each) => each > 255) || ipv4.slice(1).some((each) => /^0\d/.test(each))) return undefined;
      pieces.push(a * 256 + b, c * 256 + d);
    } else if (/^[0-9A-Fa-f]{1,4}$/.test(part)) pieces.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return pieces;
}

/** The first longest run of two or more zeros is "::". */
function ipv6Text(pieces: readonly number[]): string {
  let [best, bestLength] = [-1, 1];
  for (let start = 0; start < 8; start += 1) {
    let length = 0;
    while (pieces[start + length] === 0) length += 1;
    if (length > bestLength) [best, bestLength] = [start, length];
  }
  const text = (from: number, to: number): string =>
    pieces
      .slice(from, to)
      .map((piece) => piece.toString(16))
      .join(':');
  return best === -1 ? text(0, 8) : `${text(0, best)}::${text(best + bestLength, 8)}`;
}
