export {
  createFunctionDriver,
  FunctionDriver,
  type FunctionDriverOptions,
} from './function/functionDriver.ts';
export { runtimeOverheadBytes } from './function/processFactory.ts';
export { findWorkerd } from './function/workerdPath.ts';
export type { Dialler, DialTarget } from './gate/dialler.ts';
export type { GateLimits, GateOptions } from './gate/egressGate.ts';
export { type HostRule, parseHostRule } from './gate/hostRule.ts';
export { isPublicAddress } from './gate/publicAddress.ts';
export type { Resolver } from './gate/resolver.ts';
export type {
  Invocation,
  InvocationRequest,
  LimitName,
  LogLine,
  Metering,
  Outcome,
  SandboxDriver,
  Tenant,
  Wall,
  WallName,
  WallReport,
  Workload,
  WorkloadLimits,
} from './sandbox.ts';
export { SandboxError, type SandboxErrorCode } from './sandboxError.ts';
export type { JailChoice } from './walls/chooseJail.ts';
