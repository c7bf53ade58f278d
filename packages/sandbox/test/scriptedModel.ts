import type { GgufTensor } from '../../../examples/chat/ggufFile.ts';
import { endToken, modelFile, normal, vocabulary, width } from '../../../examples/chat/tinyModel.ts';

/**
 * A model that says what it is told to: after a colon, a space or a line's end, each piece of the script in its order, and then an end. Without
 * chance (temperature 0) it never says anything else, but for what a grammar makes it say.
 */
export function scriptedModel(script: readonly string[]): Uint8Array {
  const { tokens, scores, kinds } = vocabulary();
  const first = tokens.length;
  const words = {
    tokens: [...tokens, ...script.map((piece) => piece.replaceAll(' ', '\u2581'))],
    // Below all others: a prompt is never read as one of them.
    scores: [...scores, ...script.map(() => -1e6)],
    kinds: [...kinds, ...script.map(() => 1)],
  };
  const random = normal(1);
  const rows = words.tokens.length;
  const embedding: GgufTensor = {
    name: 'token_embd.weight',
    shape: [width, rows],
    data: Float32Array.from({ length: rows * width }, () => random()),
  };
  const output: GgufTensor = { name: 'output.weight', shape: [width, rows], data: new Float32Array(rows * width) };
  const follows = (token: number, next: number): void => {
    const from = embedding.data.subarray(token * width, (token + 1) * width);
    const to = output.data.subarray(next * width, (next + 1) * width);
    for (let at = 0; at < width; at += 1) to[at] = (to[at] ?? 0) + (from[at] ?? 0);
  };
  // The last byte of a space, as the tokenizer writes it, stands with them.
  for (const end of [0x3a, 0x0a, 0x81]) follows(firstByteToken + end, first);
  script.forEach((_, index) => {
    follows(first + index, index + 1 < script.length ? first + index + 1 : endToken);
  });
  // Nothing in between: what comes next follows from the last token alone.
  return modelFile(words, embedding, output, (name, height, columns) => ({
    name,
    shape: [columns, height],
    data: new Float32Array(height * columns),
  }));
}

/** Three special tokens come before those of single bytes. */
const firstByteToken = 3;
