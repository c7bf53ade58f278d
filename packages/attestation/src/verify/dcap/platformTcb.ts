import { equalBytes, toHex } from '@cloister/crypto';
import { AttestationError } from '../errors.ts';
import type { PckExtension } from './pckExtension.ts';
import { equalsMasked } from './qe.ts';
import type { TcbInfo, TcbLevel, TdxModuleIdentity } from './tcbInfo.ts';
import { judge, type TcbVerdict } from './tcbStatus.ts';
import type { TdReport } from './tdReport.ts';

/**
 * The TDX module's identity and status (Intel PCS API v4, "Determining TCB status of TDX platform", steps 3.e): version 0
 * by `tdxModule`, others by the entry `TDX_<version>` of `tdxModuleIdentities`. Undefined where the module has no status of
 * its own. Throws TDX_MODULE_UNKNOWN, TDX_MODULE_MISMATCH, TDX_MODULE_LEVEL_NOT_FOUND.
 */
export function verifyTdxModule(report: TdReport, tcbInfo: TcbInfo): TcbVerdict | undefined {
  const [svn = 0, version = 0] = report.teeTcbSvn;
  const id = `TDX_${version.toString(16).padStart(2, '0').toUpperCase()}`;
  const identity =
    version === 0 ? tcbInfo.tdxModule : tcbInfo.tdxModuleIdentities.find((candidate) => candidate.id === id);
  if (identity === undefined)
    throw new AttestationError({
      code: 'TDX_MODULE_UNKNOWN',
      place: 'collateral.tcb_info.tdxModuleIdentities',
      value: id,
      message: `Expected TCB info to know TDX module "${id}"`,
    });
  assertModule(report, identity);
  if (version === 0) return undefined;
  const level = judge(identity.levels, ({ isvSvn }) => svn >= isvSvn);
  if (level === undefined)
    throw new AttestationError({
      code: 'TDX_MODULE_LEVEL_NOT_FOUND',
      place: 'quote.body.teeTcbSvn[0]',
      value: svn,
      message: `Expected the SVN of TDX module "${id}" to reach a level of TCB info, got "${svn}"`,
    });
  return level;
}

/**
 * The platform's level: the first, in Intel's order, all of whose SVNs are reached (same source, steps 3.a to 3.c). From
 * module version 1 on the module's own two components are judged by {@link verifyTdxModule} instead.
 * Throws TCB_LEVEL_NOT_FOUND.
 */
export function matchTdxLevel(report: TdReport, pck: PckExtension, tcbInfo: TcbInfo): TcbVerdict {
  const from = (report.teeTcbSvn[1] ?? 0) === 0 ? 0 : 2;
  const verdict = judge(
    tcbInfo.levels,
    (level) =>
      reachesSgx(pck, level) && level.tdx.every((svn, index) => index < from || (report.teeTcbSvn[index] ?? 0) >= svn),
  );
  if (verdict === undefined)
    throw levelNotFound(`${pck.components.join(',')};${pck.pceSvn};${toHex(report.teeTcbSvn)}`);
  return verdict;
}

/** The level of an SGX platform: the first, in Intel's order, all of whose SVNs are reached. Throws TCB_LEVEL_NOT_FOUND. */
export function matchSgxLevel(pck: PckExtension, tcbInfo: TcbInfo): TcbVerdict {
  const verdict = judge(tcbInfo.levels, (level) => reachesSgx(pck, level));
  if (verdict === undefined) throw levelNotFound(`${pck.components.join(',')};${pck.pceSvn}`);
  return verdict;
}

/** Whether the platform's SGX components and PCE reach the level. */
function reachesSgx(pck: PckExtension, level: TcbLevel): boolean {
  return pck.pceSvn >= level.pceSvn && level.sgx.every((svn, index) => (pck.components[index] ?? 0) >= svn);
}

function levelNotFound(value: string): AttestationError {
  return new AttestationError({
    code: 'TCB_LEVEL_NOT_FOUND',
    place: 'collateral.tcb_info.tcbLevels',
    value,
    message: `Expected the platform's SVNs to reach a level of TCB info, got "${value}"`,
  });
}

function assertModule(report: TdReport, identity: TdxModuleIdentity): void {
  if (!equalBytes(report.mrSignerSeam, identity.mrSigner)) throw moduleMismatch('mrSignerSeam', report.mrSignerSeam);
  if (!equalsMasked(report.seamAttributes, identity.attributes, identity.attributesMask))
    throw moduleMismatch('seamAttributes', report.seamAttributes);
}

function moduleMismatch(field: string, value: Uint8Array): AttestationError {
  const place = `quote.body.${field}`;
  return new AttestationError({
    code: 'TDX_MODULE_MISMATCH',
    place,
    value: toHex(value),
    message: `Expected "${place}" as TCB info has it for this TDX module, got "${toHex(value)}"`,
  });
}
