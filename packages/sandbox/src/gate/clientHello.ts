const handshakeRecord = 22;
const clientHello = 1;
const serverNameExtension = 0;
const hostName = 0;

/**
 * The host that a TLS client asks for in its first message (RFC 8446 §4.1.2, RFC 6066 §3): 'more' where the message is not
 * whole yet, undefined where it is no such message or names none.
 */
export function serverNameIn(bytes: Buffer): string | 'more' | undefined {
  const message = handshakeMessage(bytes);
  if (message === 'more' || message === undefined) return message;
  try {
    return nameInHello(new Reader(message));
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The first handshake message, put together from its records. */
function handshakeMessage(bytes: Buffer): Buffer | 'more' | undefined {
  // Copied once, however many records there are.
  const message = Buffer.alloc(bytes.length);
  let length = 0;
  for (let at = 0; ; ) {
    if (length >= 4) {
      if (message[0] !== clientHello) return undefined;
      const end = 4 + message.readUIntBE(1, 3);
      if (length >= end) return message.subarray(4, end);
    }
    if (bytes.length < at + 1) return 'more';
    if (bytes[at] !== handshakeRecord) return undefined;
    if (bytes.length < at + 5) return 'more';
    const size = bytes.readUInt16BE(at + 3);
    if (size === 0 || size > 16_384) return undefined;
    if (bytes.length < at + 5 + size) return 'more';
    length += bytes.copy(message, length, at + 5, at + 5 + size);
    at += 5 + size;
  }
}

function nameInHello(hello: Reader): string | undefined {
  // Version and random.
  hello.take(34);
  hello.take(hello.number(1));
  hello.take(hello.number(2));
  hello.take(hello.number(1));
  const extensions = new Reader(hello.take(hello.number(2)));
  while (extensions.left > 0) {
    const type = extensions.number(2);
    const content = extensions.take(extensions.number(2));
    if (type !== serverNameExtension) continue;
    const list = new Reader(new Reader(content).list());
    if (list.number(1) !== hostName) return undefined;
    return list.list().toString('latin1');
  }
  return undefined;
}

/** Throws RangeError beyond the end. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  number(length: number): number {
    return this.take(length).readUIntBE(0, length);
  }

  /** Bytes with their length in two bytes before them. */
  list(): Buffer {
    return this.take(this.number(2));
  }

  take(length: number): Buffer {
    if (length > this.left) throw new RangeError('beyond the end');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}
