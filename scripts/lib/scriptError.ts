export type ScriptErrorCode =
  | 'IMAGE_ARCHIVE_MALFORMED'
  | 'IMAGE_BASE_MALFORMED'
  | 'IMAGE_ENTRY_REFUSED'
  | 'IMAGE_FILE_UNREADABLE'
  | 'IMAGE_FIRMWARE_MALFORMED'
  | 'IMAGE_FIRMWARE_UNSUPPORTED'
  | 'IMAGE_LOG_DIFFERS'
  | 'IMAGE_PACKAGE_UNAVAILABLE'
  | 'IMAGE_PLATFORM_UNSUPPORTED'
  | 'IMAGE_TOOL_MISSING'
  | 'SCRIPT_CANNOT_START'
  | 'SCRIPT_BAD_ARGUMENT'
  | 'SCRIPT_INSTALL_FAILED'
  | 'SCRIPT_LOCKED'
  | 'SCRIPT_NPM_MISSING'
  | 'SCRIPT_STEP_FAILED';

/**
 * What the repository's own scripts fail with. The scripts stay loadable where the packages do not compile, so this
 * has the shape of the packages' errors without importing them.
 */
export class ScriptError extends Error {
  override readonly name = 'ScriptError';
  readonly code: ScriptErrorCode;
  readonly hint: string | undefined;

  constructor(init: {
    readonly code: ScriptErrorCode;
    readonly message: string;
    readonly hint?: string;
    readonly cause?: unknown;
  }) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = init.code;
    this.hint = init.hint;
  }
}

/** Runs a script's main function; what it throws becomes one line on stderr and exit code 1. */
export async function runMain(main: () => Promise<number>): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever reads us has seen enough: `npm run gas | head`.
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  try {
    process.exitCode = await main();
  } catch (thrown) {
    process.exitCode = 1;
    if (thrown instanceof ScriptError)
      process.stderr.write(`cloister: ${thrown.message}${thrown.hint === undefined ? '' : `; ${thrown.hint}`}\n`);
    else process.stderr.write(`${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}\n`);
  }
}
