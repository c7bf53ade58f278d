export { defaultBudgetBytes, MemoryBudget } from './admission/memoryBudget.ts';
export { ComposeError, type ComposeErrorCode } from './container/compose/composeError.ts';
export { type ComposeApp, parseCompose } from './container/compose/parseCompose.ts';
export type { ComposeService } from './container/compose/service.ts';
export { ContainerDriver, type ContainerDriverOptions } from './container/containerDriver.ts';
export { containerOverheadBytes } from './container/containerProcess.ts';
export { type ArchiveBounds, type CheckedImage, checkArchive } from './container/image/checkArchive.ts';
export { imageArchive, type NewImage } from './container/image/imageArchive.ts';
export { ImageError, type ImageErrorCode } from './container/image/imageError.ts';
export { nodeImage } from './container/image/nodeImage.ts';
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
export type { InstalledEngine } from './model/installedEngines.ts';
export { createModelDriver, ModelDriver, type ModelDriverOptions, modelOverheadBytes } from './model/modelDriver.ts';
export { quickJsRuntimeId } from './quickjs/engine.ts';
export { QuickJsDriver, type QuickJsDriverOptions } from './quickjs/quickJsDriver.ts';
export type {
  CallRound,
  ContainerService,
  ContainerSource,
  Invocation,
  InvocationRequest,
  LimitName,
  LoadedImage,
  LogLine,
  Metering,
  ModelEngineName,
  ModelSource,
  Outcome,
  RunReport,
  RunReportValue,
  SandboxDriver,
  ScheduledEvent,
  Tenant,
  Wall,
  WallName,
  WallReport,
  Workload,
  WorkloadLimits,
} from './sandbox.ts';
export { SandboxError, type SandboxErrorCode } from './sandboxError.ts';
export type {
  AccountService,
  CallService,
  ChainAnswer,
  ChainBlock,
  ChainService,
  GuestAnswer,
  GuestRequest,
  GuestService,
  SentTransaction,
  ServiceCall,
  ServiceCallAnswer,
  ServiceContext,
  ServiceName,
  StateCommit,
  StateKey,
  StateListed,
  StateRange,
  StateRead,
  StateService,
  TenantServices,
  TransactionOutcome,
  WishedTransaction,
} from './services.ts';
export type { JailChoice } from './walls/chooseJail.ts';
export { checkModule } from './wasm/checkModule.ts';
export type { Entry as ModuleEntry } from './wasm/host/entry.ts';
export type { ConfineOptions } from './wasm/meter/confineModule.ts';
export { WasmDriver, type WasmDriverOptions } from './wasm/wasmDriver.ts';
export { wasmOverheadBytes } from './wasm/wasmProcessFactory.ts';
