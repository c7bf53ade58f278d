/** What the kernel asks of the program around the engine. Each operation costs fuel; none tells anything of the machine. */
export type HostOperations = {
  /** Hands over the function that takes the host's own calls. */
  ready: (entry: (operation: string, ...values: never[]) => void) => void;
  log: (level: string, text: string) => void;
  /** Lines "Status: 200" and "name: value", and the body: the end of a call that went well. */
  answer: (head: string, body: ArrayBuffer) => void;
  /** The end of one that did not. */
  failed: (why: string) => void;
  /** UTF-8 of a text without lone surrogates. */
  encode: (text: string) => ArrayBuffer;
  /** Undefined where malformed bytes are refused and there are some. */
  decode: (bytes: ArrayBuffer, fatal: boolean) => string | undefined;
  digest: (algorithm: string, bytes: ArrayBuffer) => ArrayBuffer;
  /** The next bytes that follow from the call's seed; undefined where it has none. */
  random: (length: number) => ArrayBuffer | undefined;
};

type Host = <Name extends keyof HostOperations>(
  operation: Name,
  ...values: Parameters<HostOperations[Name]>
) => ReturnType<HostOperations[Name]>;

const scope = globalThis as unknown as { cloisterHost?: Host };

/** Taken from the global scope before the app is there. */
export const host = scope.cloisterHost as Host;
delete scope.cloisterHost;

/** Adds what an app finds in its global scope. */
export function offer(values: { readonly [name: string]: unknown }): void {
  for (const name of Object.keys(values))
    Object.defineProperty(globalThis, name, {
      value: values[name],
      writable: true,
      configurable: true,
      enumerable: false,
    });
}
