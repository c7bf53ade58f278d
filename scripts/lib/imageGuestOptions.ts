import { processorSignature } from './imageSnpVmsa.ts';
import { ScriptError } from './scriptError.ts';

/** How QEMU starts a guest of one's own: the files and texts behind its options of these names. */
export type GuestOptions = {
  readonly kernel: string;
  readonly initrd: string | undefined;
  readonly append: string;
  readonly snp: SnpOptions | undefined;
  readonly tdx: TdxOptions | undefined;
};

export type TdxOptions = {
  readonly firmware: string;
  readonly initrd: string;
};

export type SnpOptions = {
  readonly firmware: string;
  readonly processors: number;
  /** CPUID Fn0000_0001_EAX. */
  readonly signature: number;
  /** SEV_FEATURES. */
  readonly features: bigint;
};

/** What `parseArgs` is told of them. */
export const guestArguments = {
  'snp-firmware': { type: 'string' },
  'snp-processors': { type: 'string' },
  'snp-cpu': { type: 'string' },
  'snp-features': { type: 'string' },
  'tdx-firmware': { type: 'string' },
  kernel: { type: 'string' },
  initrd: { type: 'string' },
  append: { type: 'string' },
} as const;

type GuestValues = { readonly [Name in keyof typeof guestArguments]?: string | undefined };

const maxProcessors = 4096;
const maxAppendCharacters = 65_536;

/** Undefined where no firmware is given. Throws SCRIPT_BAD_ARGUMENT. */
export function readGuestOptions(values: GuestValues): GuestOptions | undefined {
  const { kernel, initrd, append } = values;
  const snp = snpOptions(values);
  const tdx = tdxOptions(values);
  if (snp === undefined && tdx === undefined) {
    const alone = (['kernel', 'initrd', 'append'] as const).find((name) => values[name] !== undefined);
    if (alone === undefined) return undefined;
    throw wrong(`Expected --snp-firmware or --tdx-firmware beside --${alone}`);
  }
  if (kernel === undefined || append === undefined)
    throw wrong('Expected --kernel and --append beside a firmware: without them nothing says what the guest runs');
  if (append.length > maxAppendCharacters || !/^[\x20-\x7e]*$/.test(append))
    throw wrong(`Expected at most ${maxAppendCharacters} printable ASCII characters after --append`);
  return { kernel, initrd, append, snp, tdx };
}

function tdxOptions({ 'tdx-firmware': firmware, initrd }: GuestValues): TdxOptions | undefined {
  if (firmware === undefined) return undefined;
  if (initrd === undefined)
    throw wrong('Expected --initrd beside --tdx-firmware: what is measured without one is not known');
  return { firmware, initrd };
}

function snpOptions(values: GuestValues): SnpOptions | undefined {
  const firmware = values['snp-firmware'];
  const { 'snp-processors': processors, 'snp-cpu': cpu, 'snp-features': features = '0x1' } = values;
  if (firmware === undefined) {
    const alone = (['snp-processors', 'snp-cpu', 'snp-features'] as const).find((name) => values[name] !== undefined);
    if (alone !== undefined) throw wrong(`Expected --snp-firmware beside --${alone}`);
    return undefined;
  }
  if (processors === undefined || cpu === undefined)
    throw wrong('Expected --snp-processors and --snp-cpu beside --snp-firmware: each processor is measured');
  if (!/^[1-9][0-9]{0,3}$/.test(processors) || Number(processors) > maxProcessors)
    throw wrong(`Expected 1 to ${maxProcessors} after --snp-processors, got "${processors.slice(0, 80)}"`);
  if (!/^0x[0-9a-f]{1,16}$/i.test(features) || (BigInt(features) & 1n) === 0n)
    throw wrong(`Expected SEV_FEATURES with bit 0 set, like 0x1, after --snp-features, got "${features.slice(0, 80)}"`);
  return {
    firmware,
    processors: Number(processors),
    signature: processorSignature(cpu),
    features: BigInt(features),
  };
}

function wrong(message: string): ScriptError {
  return new ScriptError({ code: 'SCRIPT_BAD_ARGUMENT', message, hint: 'See npm run image -- --help' });
}
