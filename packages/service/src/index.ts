export { syncFolder, writeFileAtomic } from './atomicFile.ts';
export { clientKey, clientOf } from './clientOf.ts';
export {
  childEnvironment,
  type LauncherFlags,
  type LoadedConfig,
  type LogLevel,
  loadConfig,
  logLevelFromEnvironment,
} from './config.ts';
export * as config from './configSchema.ts';
export { ConfigError, type ConfigErrorCode, type ConfigOf, type ConfigSchema } from './configSchema.ts';
export {
  type Health,
  type HealthServer,
  HealthServerError,
  type HealthServerOptions,
  startHealthServer,
} from './healthServer.ts';
export { acquireLock, type FileLock, LockHeldError } from './lockFile.ts';
export { createLogger, type LogFields, type Logger, type LoggerOptions, printable, silentLogger } from './logger.ts';
export {
  type Counter,
  createMetrics,
  type Gauge,
  type Histogram,
  type Labels,
  MetricNameError,
  type Metrics,
  metricsContentType,
} from './metrics.ts';
export { watchParent } from './parentWatch.ts';
export { type ProcessFileSet, type ProcessFiles, ProcessFilesError, processFiles } from './processFiles.ts';
export { type BackoffOptions, backoffMs, type RetryOptions, retry } from './retry.ts';
export { type ProcessContext, type ProcessDefinition, type RunningProcess, runProcess } from './runProcess.ts';
export { TokenBuckets, type TokenBucketsInit } from './tokenBuckets.ts';
