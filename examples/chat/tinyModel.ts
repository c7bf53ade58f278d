import { type GgufTensor, type GgufValue, ggufFile } from './ggufFile.ts';

/** Length of a token's vector. */
export const width = 64;
const tinyShape: ModelShape = { width, layers: 2, heads: 4, feedForward: 96 };
const contextLength = 4096;
/** The first component of every token's vector: what tells words from the rest in the last step. */
const anchor = 4;
export const endToken = 2;
/** How likely an answer ends: about one word in thirty. */
const endWeight = 3;

const words = (
  'a about after all and any are as at be been before but by call can child cloud come could day do down each even every ' +
  'find first for from get give go good great had has have he her here him his house how if in into is it its just key ' +
  'know lamp leaf light like little look made make man many may me more most must my never new night no not now of old ' +
  'on one only or other our out over own part people place right river road said same say see she small so some still ' +
  'stone such take than that the their them then there these they thing think this time to tree two up us use very ' +
  'was water way we well were what when where which who will wind with word work world would year you your'
).split(' ');

/** The words of the model's vocabulary: three special tokens, one for each byte, then words with the space before them. */
export function vocabulary(): { tokens: string[]; scores: number[]; kinds: number[] } {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  const spaced = [...words.map((word) => `\u2581${word}`), '.', ','];
  // Kinds of tokens in llama.cpp: 1 normal, 2 unknown, 3 control, 6 byte.
  return {
    tokens: ['<unk>', '<s>', '</s>', ...bytes, ...spaced],
    scores: [0, 0, 0, ...bytes.map(() => 0), ...spaced.map((_, index) => -1 - index)],
    kinds: [2, 3, 3, ...bytes.map(() => 6), ...spaced.map(() => 1)],
  };
}

const template =
  "{{ bos_token }}{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}";

/**
 * A language model of some 200,000 random weights in a GGUF file: it has a tokenizer and a chat template like any other,
 * and answers with English words in no order. The same seed gives the same bytes on every machine.
 */
export function tinyModel(seed = 1): Uint8Array {
  const random = normal(seed);
  const { tokens, scores, kinds } = vocabulary();
  const matrix: MakeMatrix = (name, rows, columns, scale) => ({
    name,
    shape: [columns, rows],
    data: Float32Array.from({ length: rows * columns }, () => random() * scale),
  });
  const embedding = matrix('token_embd.weight', tokens.length, width, 1);
  const output = matrix('output.weight', tokens.length, width, 1);
  for (let token = 0; token < tokens.length; token += 1) {
    embedding.data[token * width] = anchor;
    if (kinds[token] === 1) continue;
    // Words are likely, an end is rare, loose bytes are chosen only where a grammar allows nothing else.
    output.data.subarray(token * width, (token + 1) * width).fill(0);
    output.data[token * width] = token === endToken ? endWeight : -8;
  }
  return modelFile({ tokens, scores, kinds }, embedding, output, matrix);
}

export type Vocabulary = ReturnType<typeof vocabulary>;
/** Length of a token's vector, blocks, heads of each, and the inner length of their second half. */
export type ModelShape = {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly feedForward: number;
};
/** Makes a tensor of numbers whose size is about `scale`. */
export type MakeMatrix = (name: string, rows: number, columns: number, scale: number) => GgufTensor;

/** A model of these vectors of tokens, with blocks of what `matrix` makes between. */
export function modelFile(
  words: Vocabulary,
  embedding: GgufTensor,
  output: GgufTensor,
  matrix: MakeMatrix,
  shape: ModelShape = tinyShape,
): Uint8Array {
  const { width, layers, feedForward } = shape;
  const ones = (name: string): GgufTensor => ({ name, shape: [width], data: new Float32Array(width).fill(1) });
  const blocks = Array.from({ length: layers }, (_, index) => [
    ones(`blk.${index}.attn_norm.weight`),
    ...['attn_q', 'attn_k', 'attn_v', 'attn_output'].map((name) =>
      matrix(`blk.${index}.${name}.weight`, width, width, 0.2),
    ),
    ones(`blk.${index}.ffn_norm.weight`),
    matrix(`blk.${index}.ffn_gate.weight`, feedForward, width, 0.2),
    matrix(`blk.${index}.ffn_up.weight`, feedForward, width, 0.2),
    matrix(`blk.${index}.ffn_down.weight`, width, feedForward, 0.2),
  ]);
  return ggufFile(metadata(words, shape), [embedding, ones('output_norm.weight'), output, ...blocks.flat()]);
}

function metadata(
  { tokens, scores, kinds }: Vocabulary,
  { width, layers, heads, feedForward }: ModelShape,
): Map<string, GgufValue> {
  const number = (value: number): GgufValue => ({ type: 'uint32', value });
  return new Map<string, GgufValue>([
    ['general.architecture', { type: 'string', value: 'llama' }],
    ['general.name', { type: 'string', value: 'cloister-tiny' }],
    ['general.file_type', number(0)],
    ['llama.context_length', number(contextLength)],
    ['llama.embedding_length', number(width)],
    ['llama.block_count', number(layers)],
    ['llama.feed_forward_length', number(feedForward)],
    ['llama.attention.head_count', number(heads)],
    ['llama.attention.head_count_kv', number(heads)],
    ['llama.attention.layer_norm_rms_epsilon', { type: 'float32', value: 1e-5 }],
    ['llama.rope.dimension_count', number(width / heads)],
    ['llama.vocab_size', number(tokens.length)],
    ['tokenizer.ggml.model', { type: 'string', value: 'llama' }],
    ['tokenizer.ggml.tokens', { type: 'strings', value: tokens }],
    ['tokenizer.ggml.scores', { type: 'floats', value: scores }],
    ['tokenizer.ggml.token_type', { type: 'ints', value: kinds }],
    ['tokenizer.ggml.unknown_token_id', number(0)],
    ['tokenizer.ggml.bos_token_id', number(1)],
    ['tokenizer.ggml.eos_token_id', number(2)],
    ['tokenizer.chat_template', { type: 'string', value: template }],
  ]);
}

/**
 * Numbers of mean 0 and variance 1, as sums of twelve uniform ones: additions only, which every machine rounds alike.
 * The generator is the 32-bit xorshift of Marsaglia (2003).
 */
export function normal(seed: number): () => number {
  let state = seed >>> 0 || 1;
  const uniform = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return () => Array.from({ length: 12 }, uniform).reduce((sum, value) => sum + value, -6);
}
