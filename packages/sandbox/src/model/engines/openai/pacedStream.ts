import { asciiJson } from './asciiJson.ts';

/** Lengths that a piece of a stream can have, in bytes. */
export const streamSizes = [512, 2048, 8192] as const;
const largest = streamSizes[2];
/** How often a piece leaves. */
export const streamIntervalMs = 100;

/** Resolves at the next tick. */
export type Clock = () => Promise<void>;

/**
 * Server-sent events in pieces of a few lengths that leave at a fixed interval, one at each tick whether there is anything
 * to say or not: who watches the sealed bytes sees how long an answer takes, but no token's length and not when it came.
 * `next` gives the events since it was last asked; `end` settles when there will be no more, and rejects where it failed.
 */
export async function* pacedStream(next: () => string, end: Promise<unknown>, tick: Clock): AsyncIterable<string> {
  let over = false;
  const ended = end.finally(() => {
    over = true;
  });
  ended.catch(() => {});
  while (!over) {
    await tick();
    if (over) await ended;
    yield* pieces(next());
  }
}

/** Events in ASCII, with a comment after them that fills the last piece up to one of the lengths. */
export function pieces(events: string): string[] {
  const found: string[] = [];
  let rest = events;
  while (rest.length > largest - shortestComment) {
    const length = rest.length >= largest ? largest : streamSizes[1];
    found.push(rest.slice(0, length));
    rest = rest.slice(length);
  }
  if (rest === '' && found.length > 0) return found;
  const length = streamSizes.find((size) => size >= rest.length + shortestComment) ?? largest;
  return [...found, `${rest}:${' '.repeat(length - rest.length - shortestComment)}\n\n`];
}

/** A colon and an empty line, which every reader of events passes over (HTML Standard, section 9.2.6). */
const shortestComment = 3;

export function event(data: unknown): string {
  return `data: ${asciiJson(data)}\n\n`;
}

export const lastEvent = 'data: [DONE]\n\n';

/** Ticks stand in the machine's clock, not in the answer: when it began says nothing of them. */
export const systemTick: Clock = () =>
  new Promise((resolve) => {
    setTimeout(resolve, streamIntervalMs - (Date.now() % streamIntervalMs));
  });
