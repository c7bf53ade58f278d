import { AttestationError } from '../errors.ts';
import { JsonValue } from '../json.ts';
import type { Validity } from '../x509/times.ts';
import { type LevelVerdict, tcbStatuses } from './tcbStatus.ts';

/** Which SEAM module may run, by version (Intel PCS API v4, `tdxModule` and `tdxModuleIdentities`). */
export type TdxModuleIdentity = {
  /** `TDX_01` for version 1, its letters upper case; undefined for version 0, which has no levels of its own. */
  readonly id: string | undefined;
  /** 48 bytes. */
  readonly mrSigner: Uint8Array;
  /** 8 bytes each. */
  readonly attributes: Uint8Array;
  readonly attributesMask: Uint8Array;
  readonly levels: readonly SvnLevel[];
};

/** A level that one SVN decides. */
export type SvnLevel = LevelVerdict & { readonly isvSvn: number };

export type TcbLevel = LevelVerdict & {
  /** 16 component SVNs. */
  readonly sgx: readonly number[];
  readonly pceSvn: number;
  /** 16 component SVNs; empty for SGX. */
  readonly tdx: readonly number[];
};

/** Intel's TCB info, version 3. */
export type TcbInfo = {
  readonly id: 'TDX' | 'SGX';
  readonly validity: Validity;
  /** Lower-case hexadecimal without prefix: 6 and 2 bytes. */
  readonly fmspc: string;
  readonly pceId: string;
  readonly tcbEvaluationDataNumber: number;
  /** The identity of module version 0; undefined for SGX. */
  readonly tdxModule: TdxModuleIdentity | undefined;
  readonly tdxModuleIdentities: readonly TdxModuleIdentity[];
  /** In Intel's order, best first. */
  readonly levels: readonly TcbLevel[];
};

const maxLevels = 256;
const maxModules = 64;
const maxAdvisories = 256;

/** Reads TCB info whose signature has been verified. Unknown fields are allowed, known ones are read exactly. Throws MALFORMED_COLLATERAL, UNSUPPORTED_COLLATERAL. */
export function parseTcbInfo(text: string, path: string): TcbInfo {
  const json = JsonValue.parse(text, path, 'MALFORMED_COLLATERAL');
  const id = json.member('id').oneOf(['TDX', 'SGX']);
  assertExactly(json.member('version'), 3);
  assertExactly(json.member('tcbType'), 0);
  const modules = json.member('tdxModuleIdentities');
  return {
    id,
    validity: readValidity(json),
    fmspc: readId(json.member('fmspc'), 6),
    pceId: readId(json.member('pceId'), 2),
    tcbEvaluationDataNumber: json.member('tcbEvaluationDataNumber').integer(0xffffffff),
    tdxModule: id === 'TDX' ? readModule(json.member('tdxModule'), undefined) : undefined,
    tdxModuleIdentities: modules.absent || id === 'SGX' ? [] : readModules(modules),
    levels: json
      .member('tcbLevels')
      .items(maxLevels)
      .map((level) => readLevel(level, id)),
  };
}

function readModules(modules: JsonValue): TdxModuleIdentity[] {
  // Intel has published no version with a letter in it yet: either case is the same version, here as on the chain.
  const idOf = (module: JsonValue) => module.member('id').text(16).toUpperCase();
  const read = modules.items(maxModules).map((module) => readModule(module, idOf(module)));
  if (new Set(read.map(({ id }) => id)).size !== read.length) throw modules.fail('Expected each module identity once');
  return read;
}

/** issueDate to nextUpdate of signed JSON. */
export function readValidity(json: JsonValue): Validity {
  return { place: json.path, notBefore: json.member('issueDate').time(), notAfter: json.member('nextUpdate').time() };
}

/** Levels decided by one SVN, as of the QE and of TDX modules. */
export function readSvnLevels(levels: JsonValue): SvnLevel[] {
  return levels.items(maxLevels).map((level) => ({
    isvSvn: level.member('tcb').member('isvsvn').integer(0xffff),
    ...readVerdict(level),
  }));
}

function readModule(module: JsonValue, id: string | undefined): TdxModuleIdentity {
  return {
    id,
    mrSigner: module.member('mrsigner').bytes(48),
    attributes: module.member('attributes').bytes(8),
    attributesMask: module.member('attributesMask').bytes(8),
    levels: id === undefined ? [] : readSvnLevels(module.member('tcbLevels')),
  };
}

function readLevel(level: JsonValue, id: 'TDX' | 'SGX'): TcbLevel {
  const tcb = level.member('tcb');
  return {
    sgx: readComponents(tcb.member('sgxtcbcomponents')),
    pceSvn: tcb.member('pcesvn').integer(0xffff),
    tdx: id === 'TDX' ? readComponents(tcb.member('tdxtcbcomponents')) : [],
    ...readVerdict(level),
  };
}

function readComponents(components: JsonValue): number[] {
  const svns = components.items(16).map((component) => component.member('svn').integer(255));
  if (svns.length !== 16) throw components.fail('Expected 16 components');
  return svns;
}

function readVerdict(level: JsonValue): LevelVerdict {
  const advisories = level.member('advisoryIDs');
  return {
    tcbDate: level.member('tcbDate').time(),
    status: level.member('tcbStatus').oneOf(tcbStatuses),
    advisories: advisories.absent ? [] : advisories.items(maxAdvisories).map((advisory) => advisory.text(64)),
  };
}

function readId(value: JsonValue, length: number): string {
  value.bytes(length);
  return value.text(2 * length).toLowerCase();
}

/** Refuses another version than the one that this reader knows. */
export function assertExactly(value: JsonValue, expected: number): void {
  const got = value.integer(0xffffffff);
  if (got !== expected)
    throw new AttestationError({
      code: 'UNSUPPORTED_COLLATERAL',
      place: value.path,
      value: got,
      message: `Expected "${expected}" at "${value.path}", got "${got}"`,
    });
}
