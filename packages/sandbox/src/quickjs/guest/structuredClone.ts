const errorNames: { readonly [name: string]: ErrorConstructor } = {
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

type Copies = Map<object, unknown>;

/** HTML Standard §2.7, of ECMAScript's own values. */
export function structuredClone(value: unknown, options: { readonly transfer?: readonly unknown[] } = {}): unknown {
  const moved = [...(options.transfer ?? [])];
  for (const each of moved)
    if (!(each instanceof ArrayBuffer) || moved.indexOf(each) !== moved.lastIndexOf(each) || each.detached)
      throw uncloneable('A value that is no ArrayBuffer, is detached or stands twice can not be transferred');
  const copies: Copies = new Map();
  // Last, so that a value that can't be cloned leaves them as they are.
  const originals = moved as ArrayBuffer[];
  for (const each of originals) copies.set(each, each.slice(0));
  const copy = copyOf(value, copies);
  for (const each of originals) each.transfer();
  return copy;
}

function copyOf(value: unknown, copies: Copies): unknown {
  if (typeof value === 'symbol') throw uncloneable(`${String(value)} could not be cloned.`);
  if (typeof value === 'function') throw uncloneable(`${value.name || 'A function'} could not be cloned.`);
  if (typeof value !== 'object' || value === null) return value;
  if (copies.has(value)) return copies.get(value);
  const leaf = leafOf(value);
  if (leaf !== undefined) return remember(value, leaf, copies);
  if (ArrayBuffer.isView(value)) return viewOf(value, copies);
  if (value instanceof Map) {
    const copy = remember(value, new Map(), copies);
    for (const [key, each] of [...value]) copy.set(copyOf(key, copies), copyOf(each, copies));
    return copy;
  }
  if (value instanceof Set) {
    const copy = remember(value, new Set(), copies);
    for (const each of [...value]) copy.add(copyOf(each, copies));
    return copy;
  }
  if (value instanceof Error) return errorOf(value, copies);
  if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet)
    throw uncloneable(`${Object.prototype.toString.call(value)} could not be cloned.`);
  const copy = remember(value, Array.isArray(value) ? new Array(value.length) : {}, copies) as Record<string, unknown>;
  for (const name of Object.keys(value))
    Object.defineProperty(copy, name, {
      value: copyOf((value as Record<string, unknown>)[name], copies),
      writable: true,
      enumerable: true,
      configurable: true,
    });
  return copy;
}

/** A copy of an object that holds no others. */
function leafOf(value: object): object | undefined {
  if (value instanceof Boolean || value instanceof Number || value instanceof String || value instanceof BigInt)
    return Object(value.valueOf());
  if (value instanceof Date) return new Date(value.getTime());
  if (value instanceof RegExp) return new RegExp(value.source, value.flags);
  if (value instanceof ArrayBuffer) {
    if (value.detached) throw uncloneable('An ArrayBuffer is detached and could not be cloned.');
    return value.slice(0);
  }
  return undefined;
}

function viewOf(view: ArrayBufferView, copies: Copies): unknown {
  const buffer = copyOf(view.buffer, copies) as ArrayBuffer;
  const Type = view.constructor as new (buffer: ArrayBuffer, offset: number, length: number) => ArrayBufferView;
  const { length = view.byteLength } = view as ArrayBufferView & { readonly length?: number };
  return remember(view, new Type(buffer, view.byteOffset, length), copies);
}

function errorOf(error: Error, copies: Copies): Error {
  const Type = errorNames[error.name] ?? Error;
  const copy = remember(error, new Type(error.message), copies);
  for (const name of ['stack', 'cause'] as const) {
    const own = Object.getOwnPropertyDescriptor(error, name);
    if (own !== undefined && 'value' in own)
      Object.defineProperty(copy, name, {
        ...own,
        value: name === 'stack' ? String(own.value) : copyOf(own.value, copies),
      });
  }
  return copy;
}

function remember<Copy>(value: object, copy: Copy, copies: Copies): Copy {
  copies.set(value, copy);
  return copy;
}

function uncloneable(message: string): DOMException {
  return new DOMException(message, 'DataCloneError');
}
