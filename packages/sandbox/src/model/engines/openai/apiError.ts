import type { EngineAnswer } from '../../host/engine.ts';

/** What is wrong with a request, as OpenAI's API says it. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: 400 | 404 | 405;
  readonly code: string;
  readonly param: string | null;

  constructor(status: 400 | 404 | 405, code: string, message: string, param: string | null = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.param = param;
  }
}

export function invalidValue(param: string, wanted: string): ApiError {
  return new ApiError(400, 'invalid_value', `"${param}" must be ${wanted}`, param);
}

/** The answer that tells of it. Source: the error object of platform.openai.com/docs/guides/error-codes. */
export function errorAnswer({ status, code, message, param }: ApiError): EngineAnswer {
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ error: { message, type: 'invalid_request_error', param, code } }),
  };
}
