import { evidenceDocument, type TdxDocument } from '../../verify/index.ts';
import type { CollateralSource } from '../collateral/collateralSource.ts';
import {
  type AttestationDevice,
  type AttestationDriver,
  assertReportData,
  type EvidenceOptions,
  type Unavailable,
} from '../device.ts';
import { DeviceError } from '../deviceError.ts';
import { replayedLog } from '../replayedLog.ts';
import { tdxQuoteFrom } from '../reportBytes.ts';
import { type SystemFiles, systemFiles } from '../systemFiles.ts';
import { DstackAgent, type DstackInfo } from './dstackAgent.ts';

export type DstackDriverInit = {
  readonly collateral: CollateralSource;
  /** The agent's socket, or a simulator's URL. Default: the first of {@link dstackSockets} that is there. */
  readonly endpoint?: string | undefined;
  readonly quoteTimeoutMs?: number | undefined;
  readonly timeoutMs?: number | undefined;
  /** Default: this machine's. */
  readonly files?: Pick<SystemFiles, 'exists'> | undefined;
};

/** The name by which configuration asks for it. */
export const dstackDriverName = 'dstack';

/** Where agents listen, newest first. */
export const dstackSockets = [
  '/var/run/dstack.sock',
  '/run/dstack.sock',
  '/var/run/dstack/dstack.sock',
  '/run/dstack/dstack.sock',
] as const;

/** A worker in a container of a dstack CVM, by the CVM's guest agent: TDX, without any privilege. */
export function dstackDriver(init: DstackDriverInit): AttestationDriver {
  const agentOf = async (): Promise<DstackAgent | undefined> => {
    const endpoint = init.endpoint ?? (await firstSocket(init.files ?? systemFiles));
    return endpoint === undefined ? undefined : new DstackAgent({ ...init, endpoint });
  };
  return {
    name: dstackDriverName,
    simulated: false,
    about: 'containers in a dstack CVM, by its guest agent',
    async unavailable({ signal }) {
      const agent = await agentOf();
      if (agent === undefined) return noSocket;
      try {
        await agent.info(signal);
        return undefined;
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof DeviceError) return whyNot(error);
        throw error;
      }
    },
    async open({ signal }) {
      const agent = await agentOf();
      if (agent === undefined) throw new DeviceError({ code: 'DEVICE_GONE', message: `Found ${noSocket.reason}` });
      return new DstackDevice(agent, await agent.info(signal), init.collateral);
    },
  };
}

/** The TD that a guest agent speaks for. */
export class DstackDevice implements AttestationDevice {
  readonly name = dstackDriverName;
  readonly kind = 'tdx';
  readonly simulated = false;
  readonly provider: string;
  readonly sealsAtRest = false;
  readonly sealing = "No: an agent's keys come from dstack's key service, not from the hardware";
  /** What the agent says of this app; its event log proves it. */
  readonly info: DstackInfo;
  readonly #agent: DstackAgent;
  readonly #collateral: CollateralSource;

  constructor(agent: DstackAgent, info: DstackInfo, collateral: CollateralSource) {
    this.#agent = agent;
    this.info = info;
    this.#collateral = collateral;
    this.provider = `dstack guest agent${info.version === undefined ? '' : ` ${info.version}`}`;
  }

  async quote(reportData: Uint8Array, { signal, eventLog = false }: EvidenceOptions): Promise<TdxDocument> {
    assertReportData(reportData);
    const asked = reportData.slice();
    const reply = await this.#agent.quote(asked, signal);
    const quote = tdxQuoteFrom(reply.quote, asked, this.#agent.endpoint);
    const collateral = await this.#collateral.collateralFor(quote, { signal });
    return evidenceDocument(quote, collateral, eventLog ? replayedLog(reply.eventLog, quote) : undefined);
  }
}

const noSocket: Unavailable = {
  code: 'NOT_THIS_MACHINE',
  reason: `no guest agent at ${dstackSockets.join(', ')}`,
  hint: `In a dstack CVM, mount ${dstackSockets[0]} into the container`,
};

async function firstSocket(files: Pick<SystemFiles, 'exists'>): Promise<string | undefined> {
  for (const path of dstackSockets) if (await files.exists(path)) return path;
  return undefined;
}

function whyNot({ code, message, hint }: DeviceError): Unavailable {
  return {
    code: code === 'DEVICE_FORBIDDEN' ? 'NO_PERMISSION' : 'NOT_ANSWERING',
    reason: message,
    ...(hint === undefined ? {} : { hint }),
  };
}
