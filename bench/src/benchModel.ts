import { type MakeMatrix, modelFile, vocabulary } from '../../examples/chat/tinyModel.ts';

const shape = { width: 512, layers: 6, heads: 8, feedForward: 1376 };
/** Kind of a token that is a word, in GGUF. */
const wordKind = 1;
const anchor = 4;

/**
 * A language model of 19 million random weights (76 MB), large enough that its own work outweighs what surrounds it. It never ends
 * an answer by itself.
 */
export function benchModel(): Uint8Array {
  const words = vocabulary();
  const random = uniform();
  const matrix: MakeMatrix = (name, rows, columns, scale) => ({
    name,
    shape: [columns, rows],
    data: Float32Array.from({ length: rows * columns }, () => random() * scale),
  });
  const embedding = matrix('token_embd.weight', words.tokens.length, shape.width, 1);
  const output = matrix('output.weight', words.tokens.length, shape.width, 1);
  for (const [token, kind] of words.kinds.entries()) {
    embedding.data[token * shape.width] = anchor;
    if (kind === wordKind) continue;
    output.data.subarray(token * shape.width, (token + 1) * shape.width).fill(0);
    output.data[token * shape.width] = -8;
  }
  return modelFile(words, embedding, output, matrix, shape);
}

/** Numbers between -1 and 1: the 32-bit xorshift of Marsaglia (2003). */
function uniform(): () => number {
  let state = 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 31 - 1;
  };
}
