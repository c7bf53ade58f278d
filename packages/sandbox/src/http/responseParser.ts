export type ResponseHead = {
  readonly status: number;
  /** Names in lower case, in the order of the message. */
  readonly headers: readonly (readonly [name: string, value: string])[];
};

export type ResponseEvents = {
  readonly head: (head: ResponseHead) => void;
  readonly data: (chunk: Uint8Array) => void;
  /** The message is whole; with what came after a chunked body, if anything. */
  readonly end: (trailers: ResponseHead['headers']) => void;
};

const maxHeadBytes = 64 * 1024;
const maxHeaders = 512;
const maxLineBytes = 4096;
/** A line that only says how long a chunk is. Nobody here sends extensions, by which one byte could come in thousands. */
const maxChunkLineBytes = 64;
/** Smaller pieces of a body that have come together go on together: each costs whoever takes it as much as a large one. */
const smallPieceBytes = 4096;
const statusLine = /^HTTP\/1\.1 ([2-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const headerLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)$/;
const chunkLine = /^([0-9A-Fa-f]{1,12})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;

type State = 'head' | 'fixed' | 'chunk-size' | 'chunk-data' | 'chunk-end' | 'trailers' | 'done';

/**
 * Reads the answers on one connection, one after the other (RFC 9112). Strict: what a well-behaved server doesn't send is
 * an error, since the program at the other end may have been taken over. It holds no more than a head or a line at once.
 */
export class ResponseParser {
  readonly #events: ResponseEvents;
  #state: State = 'done';
  #withoutBody = false;
  #pending: Uint8Array = new Uint8Array();
  #left = 0;
  #trailerBytes = 0;
  #trailers: (readonly [string, string])[] = [];
  #pieces: Uint8Array[] = [];
  #keepAlive = true;

  constructor(events: ResponseEvents) {
    this.#events = events;
  }

  /** Whether the connection can take another request after this answer. */
  get keepAlive(): boolean {
    return this.#keepAlive;
  }

  /** Expects an answer. One to HEAD has no body, whatever its head says. */
  begin(method: string): void {
    this.#state = 'head';
    this.#withoutBody = method.toUpperCase() === 'HEAD';
    this.#trailerBytes = 0;
    this.#trailers = [];
  }

  /** Takes what has arrived. Throws ResponseSyntaxError. */
  take(bytes: Uint8Array): void {
    let rest = this.#pending.length === 0 ? bytes : concat(this.#pending, bytes);
    this.#pending = new Uint8Array();
    try {
      while (rest.length > 0) {
        const used = this.#step(rest);
        if (used === 0) {
          this.#pending = rest;
          return;
        }
        rest = rest.subarray(used);
      }
    } finally {
      this.#passOn();
    }
  }

  /** Uses up a part of the bytes and says how many; 0 where it needs more. */
  #step(bytes: Uint8Array): number {
    switch (this.#state) {
      case 'done':
        throw new ResponseSyntaxError('bytes after the answer');
      case 'head':
        return this.#takeHead(bytes);
      case 'fixed':
      case 'chunk-data':
        return this.#takeData(bytes);
      case 'chunk-size':
        return this.#takeLine(bytes, (line) => this.#beginChunk(line), maxChunkLineBytes);
      case 'chunk-end':
        return this.#takeLine(bytes, (line) => {
          if (line !== '') throw new ResponseSyntaxError('a chunk without an end');
          this.#state = 'chunk-size';
        });
      case 'trailers':
        return this.#takeLine(bytes, (line) => {
          this.#trailerBytes += line.length;
          if (this.#trailerBytes > maxHeadBytes) throw new ResponseSyntaxError('trailers that are too long');
          if (line === '') this.#finish();
          else this.#trailers.push(parseHeader(line));
        });
    }
  }

  #takeHead(bytes: Uint8Array): number {
    const end = indexOfEmptyLine(bytes);
    if (end > maxHeadBytes || (end === -1 && bytes.length > maxHeadBytes))
      throw new ResponseSyntaxError('a head that is too long');
    if (end === -1) return 0;
    const [first = '', ...lines] = latin1(bytes.subarray(0, end)).split('\r\n');
    const status = Number(statusLine.exec(first)?.[1] ?? Number.NaN);
    if (Number.isNaN(status)) throw new ResponseSyntaxError('a status line of another protocol');
    if (lines.length > maxHeaders) throw new ResponseSyntaxError('too many headers');
    const headers = lines.map(parseHeader);
    this.#left = this.#bodyLength(status, headers);
    this.#events.head({ status, headers });
    if (this.#state === 'fixed' && this.#left === 0) this.#finish();
    return end + 4;
  }

  /** The length of the body (RFC 9112 §6.3), and the state that reads it. */
  #bodyLength(status: number, headers: ResponseHead['headers']): number {
    const all = (name: string): string[] => headers.filter(([key]) => key === name).map(([, value]) => value);
    const [lengths, encodings] = [all('content-length'), all('transfer-encoding')];
    this.#keepAlive = !all('connection').some((value) => /(?:^|[\s,])close(?:$|[\s,])/i.test(value));
    this.#state = 'fixed';
    if (this.#withoutBody || status === 204 || status === 304) return 0;
    if (encodings.length > 0) {
      if (encodings.length > 1 || encodings[0]?.toLowerCase() !== 'chunked' || lengths.length > 0)
        throw new ResponseSyntaxError('a body whose length is in doubt');
      this.#state = 'chunk-size';
      return 0;
    }
    if (lengths.length !== 1 || !/^\d{1,15}$/.test(lengths[0] ?? ''))
      throw new ResponseSyntaxError('a body whose length is in doubt');
    return Number(lengths[0]);
  }

  #beginChunk(line: string): void {
    const size = chunkLine.exec(line)?.[1];
    if (size === undefined) throw new ResponseSyntaxError('a chunk without a size');
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? 'trailers' : 'chunk-data';
  }

  #takeData(bytes: Uint8Array): number {
    const chunk = bytes.length <= this.#left ? bytes : bytes.subarray(0, this.#left);
    this.#left -= chunk.length;
    if (chunk.length >= smallPieceBytes) this.#passOn();
    this.#pieces.push(chunk);
    if (chunk.length >= smallPieceBytes) this.#passOn();
    if (this.#left === 0) {
      if (this.#state === 'fixed') this.#finish();
      else this.#state = 'chunk-end';
    }
    return chunk.length;
  }

  #passOn(): void {
    const pieces = this.#pieces;
    const [first] = pieces;
    if (first === undefined) return;
    this.#pieces = [];
    this.#events.data(pieces.length === 1 ? first : Buffer.concat(pieces));
  }

  #takeLine(bytes: Uint8Array, use: (line: string) => void, most = maxLineBytes): number {
    const end = bytes.indexOf(10);
    if (end > most || (end === -1 && bytes.length > most)) throw new ResponseSyntaxError('a line that is too long');
    if (end === -1) return 0;
    if (end === 0 || bytes[end - 1] !== 13) throw new ResponseSyntaxError('a line that ends oddly');
    use(latin1(bytes.subarray(0, end - 1)));
    return end + 1;
  }

  #finish(): void {
    this.#passOn();
    this.#state = 'done';
    this.#events.end(this.#trailers);
  }
}

/** The other end doesn't keep to HTTP/1.1. */
export class ResponseSyntaxError extends Error {
  override readonly name = 'ResponseSyntaxError';

  constructor(what: string) {
    super(`The answer is not HTTP/1.1: it has ${what}`);
  }
}

function parseHeader(line: string): readonly [string, string] {
  const [, name, value] = headerLine.exec(line) ?? [];
  if (name === undefined || value === undefined) throw new ResponseSyntaxError('a header that is none');
  return [name.toLowerCase(), value.trimEnd()];
}

function indexOfEmptyLine(bytes: Uint8Array): number {
  return view(bytes).indexOf('\r\n\r\n', 0, 'latin1');
}

function latin1(bytes: Uint8Array): string {
  return view(bytes).toString('latin1');
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  return Buffer.concat([first, second]);
}
