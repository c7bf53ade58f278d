import { CloisterError } from '@cloister/core';

/**
 * COMPOSE_MALFORMED: not the form of a compose file. COMPOSE_REFUSED: it asks for what would break the walls, or what this
 * subset doesn't have.
 */
export type ComposeErrorCode = 'COMPOSE_MALFORMED' | 'COMPOSE_REFUSED';

/** What is wrong with a compose file, and on which of its lines (from 1). */
export class ComposeError extends CloisterError<ComposeErrorCode> {
  override readonly name = 'ComposeError';
  readonly line: number;

  constructor(code: ComposeErrorCode, line: number, problem: string, hint?: string) {
    super({ code, message: `Line ${line} of the compose file: ${problem}`, meta: { line }, hint });
    this.line = line;
  }
}
