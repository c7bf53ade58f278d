import { fromUtf8 } from '@cloister/crypto';
import { keyProblemType, problemMediaType } from '../shared/problem.ts';

/** A problem document (RFC 9457) as a worker or gateway sends it instead of a response. Nobody signed it: a hint. */
export type Problem = {
  readonly status: number;
  /** URI; "about:blank" where the document names none. */
  readonly type: string;
  readonly title: string;
  /** Whether the key configuration is said to be outdated: fetch it anew, verify it anew, retry once. */
  readonly isKeyProblem: boolean;
};

const maxProblemBytes = 4_096;
const maxTextLength = 200;

/** The problem in an HTTP response; undefined where it is none. Never throws. */
export function readProblem(response: {
  readonly status: number;
  readonly contentType: string | null | undefined;
  readonly body: Uint8Array;
}): Problem | undefined {
  const { status, contentType, body } = response;
  if (contentType?.split(';', 1)[0]?.trim().toLowerCase() !== problemMediaType) return undefined;
  if (status < 400 || status > 599 || body.length > maxProblemBytes) return undefined;
  const document = parseObject(body);
  if (document === undefined) return undefined;
  const type = text(document.type) ?? 'about:blank';
  return {
    status,
    type,
    title: text(document.title) ?? `HTTP status ${status}`,
    isKeyProblem: (status === 400 || status === 422) && type === keyProblemType,
  };
}

function parseObject(body: Uint8Array): { readonly type?: unknown; readonly title?: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(fromUtf8(body));
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A bounded text without control characters: it may end in a terminal. */
function text(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > maxTextLength) return undefined;
  return /\p{Cc}/u.test(value) ? undefined : value;
}
