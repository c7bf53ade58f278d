/**
 * What a gatekeeper asks of a worker to see that it is there and how fast it is: the end of a chain of steps, of which each needs the one
 * before, so that nothing but going them gives it.
 */
export type ChallengeQuestion = {
  /** uint32. */
  readonly start: number;
  /** 1 to {@link maxChallengeSteps}. */
  readonly steps: number;
};

/** About a second of work on a slow processor. */
export const maxChallengeSteps = 200_000_000;
const questionBytes = 8;
const answerBytes = 4;

/** The end of the chain, uint32: the answer. */
export function challengeAnswerOf({ start, steps }: ChallengeQuestion): number {
  let value = start | 0;
  for (let step = 0; step < steps; step++) {
    value ^= value << 13;
    value ^= value >>> 17;
    value ^= value << 5;
    value = (Math.imul(value, 0x9e3779b1) + step) | 0;
  }
  return value >>> 0;
}

/** The body of the request: two uint32, big-endian. */
export function challengeBody({ start, steps }: ChallengeQuestion): Uint8Array {
  const body = new Uint8Array(questionBytes);
  const view = new DataView(body.buffer);
  view.setUint32(0, start);
  view.setUint32(4, steps);
  return body;
}

/** The answer in a response's body; undefined where it is none. */
export function readChallengeAnswer(body: Uint8Array): number | undefined {
  if (body.length !== answerBytes) return undefined;
  return new DataView(body.buffer, body.byteOffset, body.length).getUint32(0);
}

/** The function that answers: what a network deploys as its challenge app. The same steps as {@link challengeAnswerOf}. */
export const challengeAppSource = `export default {
  async fetch(request) {
    const body = await request.arrayBuffer();
    if (body.byteLength !== ${questionBytes}) return new Response('Expected ${questionBytes} bytes', { status: 400 });
    const question = new DataView(body);
    const steps = question.getUint32(4);
    if (steps < 1 || steps > ${maxChallengeSteps}) return new Response('Too many steps', { status: 400 });
    let value = question.getUint32(0) | 0;
    for (let step = 0; step < steps; step++) {
      value ^= value << 13;
      value ^= value >>> 17;
      value ^= value << 5;
      value = (Math.imul(value, 0x9e3779b1) + step) | 0;
    }
    const answer = new DataView(new ArrayBuffer(${answerBytes}));
    answer.setUint32(0, value >>> 0);
    return new Response(answer.buffer);
  },
};
`;
