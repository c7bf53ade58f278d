import type { Bytes32, Manifest } from '@cloister/core';
import type { Logger } from '@cloister/service';
import type { AppLoader } from '../appLoader.ts';
import type { AppServices } from '../services/appServices.ts';
import type { AppStates } from '../state/appStates.ts';
import type { ScheduledApps } from './scheduledApps.ts';

/** The version of an app that serves now. */
export type ServedVersion = {
  readonly app: Bytes32;
  readonly manifestId: Bytes32;
  readonly manifest: Manifest;
  readonly keyVersion: number;
};

export type SchedulerComponents = {
  readonly scheduled: Pick<ScheduledApps, 'follow' | 'read' | 'due' | 'next' | 'settled'>;
  readonly serving: (app: Bytes32, signal: AbortSignal) => Promise<ServedVersion>;
  /** The app's hosts at the newest block, the first choice first. */
  readonly hosts: (version: ServedVersion, signal: AbortSignal) => Promise<readonly Bytes32[]>;
  readonly states: Pick<AppStates, 'ask'>;
  readonly apps: Pick<AppLoader, 'load'>;
  readonly services: Pick<AppServices, 'of'>;
  readonly workerId: Bytes32;
  /** The newest block's time, unix seconds: no clock of this machine says what is due. */
  readonly now: () => number;
  readonly log: Pick<Logger, 'info' | 'warn'>;
};
