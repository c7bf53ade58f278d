import path from 'node:path';
import { parseArgs } from 'node:util';
import { type GuestOptions, guestArguments, readGuestOptions } from './imageGuestOptions.ts';
import { inRoot, root } from './paths.ts';
import { ScriptError } from './scriptError.ts';

export type DstackOs = {
  readonly mrtd: string;
  readonly rtmr0: string;
  readonly rtmr1: string;
  readonly rtmr2: string;
};

export type ImageOptions = {
  readonly help: boolean;
  readonly json: boolean;
  /** Measure only, and write no image. */
  readonly valuesOnly: boolean;
  readonly root: string;
  readonly out: string;
  readonly base: boolean;
  readonly packages: string;
  readonly mirrors: readonly string[];
  readonly networkFile: string | undefined;
  readonly imageName: string | undefined;
  readonly eventLog: string | undefined;
  readonly dstackOs: DstackOs | undefined;
  /** Root public key of dstack's key service, hexadecimal without 0x. */
  readonly kmsId: string | undefined;
  readonly guest: GuestOptions | undefined;
};

export const imageHelp = `npm run image [-- OPTION…]    the worker's image, the same bytes on every machine, and its reference values

  --values              measure the files only; write no image
  --no-base             without the operating system's files: needs no network, and does not start by itself
  --network FILE        put the network file into the image; then only the operator's key is given from outside
  --out FOLDER          default: .cloister/image
  --packages FOLDER     keeps the base's Debian packages; default: packages in the --out folder
  --mirror URL          an archive of Debian packages; may be repeated; default: http://ftp.debian.org
  --root FOLDER         the checkout; default: this one

  --image-name NAME     its name in a registry (with --network): makes the app-compose.json for a dstack CVM, and its hash
  --mrtd HEX --rtmr0 HEX --rtmr1 HEX --rtmr2 HEX
                        what dstack's own image measures to (dstack-mr): gives the image id of a worker there
  --kms-id HEX          the dstack key service that the CVM must use, by its root public key; without it the host chooses one

  --snp-firmware FILE --snp-processors N --snp-cpu MODEL --kernel FILE --append TEXT [--initrd FILE] [--snp-features HEX]
                        a SEV-SNP guest as QEMU starts it from these (with kernel-hashes=on): its launch digest and image id.
                        MODEL: as QEMU names it, or CPUID Fn0000_0001_EAX in hexadecimal; HEX: SEV_FEATURES, 0x1 if not given

  --tdx-firmware FILE --kernel FILE --append TEXT --initrd FILE
                        a TD as QEMU starts it from these: MRTD, RTMR1 and RTMR2; with its firmware's --event-log, which gives
                        RTMR0 and has to agree in the others, its image id

  --event-log FILE      a log of such a machine, firmware's (CCEL) or dstack's (JSON): replayed to its registers

  --json                one line for programs; reference.json in the --out folder holds the same`;

/** What `parseArgs` is told of every option. */
export const imageArguments = {
  help: { type: 'boolean' },
  json: { type: 'boolean' },
  values: { type: 'boolean' },
  'no-base': { type: 'boolean' },
  root: { type: 'string' },
  out: { type: 'string' },
  packages: { type: 'string' },
  mirror: { type: 'string', multiple: true },
  network: { type: 'string' },
  'image-name': { type: 'string' },
  'event-log': { type: 'string' },
  mrtd: { type: 'string' },
  rtmr0: { type: 'string' },
  rtmr1: { type: 'string' },
  rtmr2: { type: 'string' },
  'kms-id': { type: 'string' },
  ...guestArguments,
} as const;

/** Throws SCRIPT_BAD_ARGUMENT. */
export function readImageOptions(argv: readonly string[]): ImageOptions {
  const values = parse(argv);
  if (values['image-name'] !== undefined && values.network === undefined)
    throw wrong('Expected --network beside --image-name: nothing from outside names the network in a dstack CVM');
  const out = path.resolve(values.out ?? inRoot('.cloister', 'image'));
  return {
    help: values.help === true,
    json: values.json === true,
    valuesOnly: values.values === true,
    root: path.resolve(values.root ?? root),
    out,
    base: values['no-base'] !== true,
    packages: path.resolve(values.packages ?? path.join(out, 'packages')),
    mirrors: (values.mirror ?? ['http://ftp.debian.org']).map(mirror),
    networkFile: values.network,
    imageName: values['image-name'],
    eventLog: values['event-log'],
    dstackOs: dstackOs(values),
    kmsId: kmsId(values['kms-id']),
    guest: readGuestOptions(values),
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: imageArguments,
    }).values;
  } catch (cause) {
    throw wrong(cause instanceof Error ? cause.message : String(cause));
  }
}

function mirror(url: string): string {
  if (!/^https?:\/\/[^?#]+$/.test(url) || !URL.canParse(url))
    throw wrong(`Expected a URL after --mirror, got "${url}"`);
  return url;
}

function dstackOs(values: ReturnType<typeof parse>): DstackOs | undefined {
  const { mrtd, rtmr0, rtmr1, rtmr2 } = values;
  const given = { mrtd, rtmr0, rtmr1, rtmr2 };
  if (Object.values(given).every((value) => value === undefined)) return undefined;
  const register = (name: keyof typeof given): string => {
    const value = given[name]?.toLowerCase().replace(/^0x/, '');
    if (value === undefined || !/^[0-9a-f]{96}$/.test(value))
      throw wrong(`Expected 96 hexadecimal digits after --${name}, got "${given[name]?.slice(0, 120) ?? 'nothing'}"`);
    return `0x${value}`;
  };
  return { mrtd: register('mrtd'), rtmr0: register('rtmr0'), rtmr1: register('rtmr1'), rtmr2: register('rtmr2') };
}

function kmsId(given: string | undefined): string | undefined {
  const hex = given?.toLowerCase().replace(/^0x/, '');
  if (hex !== undefined && !/^([0-9a-f]{2}){33,512}$/.test(hex))
    throw wrong(
      `Expected a public key of 33 to 512 bytes in hexadecimal after --kms-id, got "${given?.slice(0, 120)}"`,
    );
  return hex;
}

function wrong(message: string): ScriptError {
  return new ScriptError({ code: 'SCRIPT_BAD_ARGUMENT', message, hint: 'See npm run image -- --help' });
}
