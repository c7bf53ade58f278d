import {
  type Invocation,
  type Outcome,
  SandboxError,
  type SandboxErrorCode,
  type Tenant,
  type Workload,
  type WorkloadLimits,
} from '../src/index.ts';

export type WorkloadOverrides = Partial<Omit<Workload, 'limits'>> & { limits?: Partial<WorkloadLimits> };

export const never = new AbortController().signal;

export type Answer = { status: number; headers: Map<string, string>; body: Buffer; outcome: Outcome };

export type CallOptions = { signal?: AbortSignal; method?: string; headers?: [string, string][]; body?: Uint8Array };

/** One call, read to its end. */
export async function call(
  tenant: Tenant,
  path: string,
  { signal = never, ...request }: CallOptions = {},
): Promise<Answer> {
  return readAnswer(
    await tenant.invoke({ method: 'GET', headers: [], body: new Uint8Array(), ...request, path }, { signal }),
  );
}

export async function readAnswer({ status, headers, body, finished }: Invocation): Promise<Answer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return { status, headers: new Map(headers), body: Buffer.concat(chunks), outcome: await finished };
}

export async function codeOf(promise: Promise<unknown>): Promise<SandboxErrorCode | 'no error'> {
  try {
    await promise;
    return 'no error';
  } catch (error) {
    if (error instanceof SandboxError) return error.code;
    throw error;
  }
}
