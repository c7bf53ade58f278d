import path from 'node:path';
import { parseArgs } from 'node:util';
import { CloisterError } from '@cloister/core';
import { maxWorkers } from './dataFolder.ts';

export type DevnetOptions = {
  /** One JSON line a step instead of prose. */
  readonly json: boolean;
  /** Shut everything down after the first verified call. */
  readonly once: boolean;
  /** Delete the data folder first. */
  readonly reset: boolean;
  /** Make the first call. */
  readonly demo: boolean;
  readonly dataDir: string;
  readonly workers: number;
  /** Hand the timelock over to the holders of PHA, for ever. */
  readonly governed: boolean;
  /** Length of an epoch, a multiple of a round. */
  readonly epochSeconds: number;
  /** A second chain, linked to the network's by a bridge. */
  readonly secondChain: boolean;
};

export const chainId = 31337;

/** Length of a round of the beacon here. */
export const roundSeconds = 5;

export const usage = `Starts a whole Cloister network on this machine: a chain, a gateway, four
gatekeepers and three workers with simulated TEEs.

  npm start [-- OPTIONS]

  --once        stop everything after the first verified call; exit 0 if it verified
  --no-demo     make no first call
  --data DIR    keep chain, keys and files there (default .cloister/devnet)
  --reset       delete that folder first
  --workers N   1 to 8 workers (default 3)
  --epoch N     seconds of an epoch, in which the gatekeepers hand their keys on (default 300; only for a new folder)
  --governed    hand the network over to the votes of PHA, for ever: what a later start needs must be proposed first
  --second-chain  a second chain besides, with a bridge for PHA and messages (only for a new folder)
  --json        one JSON line a step; the last is {"step":"ready","network":FILE,…}
  --help        this text
`;

/** Reads the command line. Throws OPTION_UNKNOWN, OPTION_INVALID; answers undefined when help was asked for. */
export function readOptions(argv: readonly string[], root: string): DevnetOptions | undefined {
  let values: ReturnType<typeof parse>['values'];
  try {
    values = parse(argv).values;
  } catch (cause) {
    throw new OptionError(
      'OPTION_UNKNOWN',
      cause instanceof Error ? (cause.message.split('. ')[0] ?? '') : String(cause),
    );
  }
  if (values.help) return undefined;
  const workers = Number(values.workers ?? 3);
  if (!Number.isInteger(workers) || workers < 1 || workers > maxWorkers)
    throw new OptionError('OPTION_INVALID', `Expected --workers of 1 to 8, got "${values.workers}"`);
  const epochSeconds = Number(values.epoch ?? 300);
  if (
    !Number.isInteger(epochSeconds) ||
    epochSeconds < 30 ||
    epochSeconds > 86_400 ||
    epochSeconds % roundSeconds !== 0
  )
    throw new OptionError(
      'OPTION_INVALID',
      `Expected --epoch of 30 to 86400 seconds, a multiple of ${roundSeconds}, got "${values.epoch}"`,
    );
  return {
    json: values.json ?? false,
    once: values.once ?? false,
    reset: values.reset ?? false,
    demo: !(values['no-demo'] ?? false),
    dataDir: path.resolve(values.data ?? path.join(root, '.cloister', 'devnet')),
    workers,
    governed: values.governed ?? false,
    epochSeconds,
    secondChain: values['second-chain'] ?? false,
  };
}

function parse(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    options: {
      json: { type: 'boolean' },
      once: { type: 'boolean' },
      reset: { type: 'boolean' },
      'no-demo': { type: 'boolean' },
      data: { type: 'string' },
      workers: { type: 'string' },
      epoch: { type: 'string' },
      governed: { type: 'boolean' },
      'second-chain': { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
}

export class OptionError extends CloisterError<'OPTION_UNKNOWN' | 'OPTION_INVALID'> {
  override readonly name = 'OptionError';
  constructor(code: OptionError['code'], message: string) {
    super({ code, message, hint: 'npm start -- --help lists the options' });
  }
}
