import { guestInstanceId, manifestBytes, type schema } from '@cloister/core';
import { fromUtf8, toHex } from '@cloister/crypto';
import { type GuestAgent, type MadeQuote, statementText } from '../guestAgent.ts';
import { GuestError } from '../guestError.ts';
import type { TlsKey } from '../tls/tlsKeys.ts';
import { legacyReportData } from './legacyReportData.ts';
import { bytesOf, guestRequests } from './requests.ts';

/** An answer's fields. */
type Json = { readonly [field: string]: schema.Json };
type GuestCall = (agent: GuestAgent, request: unknown, signal: AbortSignal) => Promise<Json>;

/** The release of dstack whose protocol this is. */
const protocolVersion = '0.5.8';

/**
 * dstack's guest agent, method by method: requests and answers in the shapes of its SDKs. Each throws GuestError, and what the device
 * throws.
 */
export const guestCalls: ReadonlyMap<string, GuestCall> = new Map<string, GuestCall>([
  [
    'GetKey',
    async (agent, request) => {
      const { path = '', purpose = '', algorithm = '' } = guestRequests.GetKey(request);
      const { key, signatureChain } = await agent.givenKey({ path, purpose, algorithm });
      const answer = { key: hex(key), signature_chain: signatureChain.map(hex) };
      key.fill(0);
      return answer;
    },
  ],
  [
    'GetTlsKey',
    async (agent, request, signal) => {
      const asked = guestRequests.GetTlsKey(request);
      const wanted = {
        subject: asked.subject ?? '',
        altNames: asked.alt_names ?? [],
        serverAuth: asked.usage_server_auth ?? false,
        clientAuth: asked.usage_client_auth ?? false,
        notBefore: asked.not_before,
        notAfter: asked.not_after,
        withQuote: asked.usage_ra_tls ?? false,
        withStatement: asked.with_app_info ?? asked.usage_ra_tls ?? false,
      };
      return tlsKeyJson(await agent.tlsKey(wanted, signal));
    },
  ],
  [
    'GetQuote',
    async (agent, request, signal) =>
      quoteJson(await agent.quote(bytesOf(guestRequests.GetQuote(request).report_data), signal)),
  ],
  [
    'Attest',
    async (agent, request, signal) => {
      const { attestation } = await agent.quote(bytesOf(guestRequests.GetQuote(request).report_data), signal);
      return { attestation: hex(attestation) };
    },
  ],
  ['Info', (agent, request) => infoJson(agent, request)],
  [
    'EmitEvent',
    async (agent, request) => {
      const { event, payload } = guestRequests.EmitEvent(request);
      agent.emit(event, bytesOf(payload));
      return {};
    },
  ],
  [
    'Sign',
    async (agent, request) => {
      const { algorithm, data } = guestRequests.Sign(request);
      const { signature, signatureChain, publicKey } = await agent.sign(algorithm, bytesOf(data));
      return { signature: hex(signature), signature_chain: signatureChain.map(hex), public_key: hex(publicKey) };
    },
  ],
  [
    'Verify',
    async (agent, request) => {
      const { algorithm, data, signature, public_key } = guestRequests.Verify(request);
      const signed = { data: bytesOf(data), signature: bytesOf(signature), publicKey: bytesOf(public_key) };
      return { valid: agent.verify(algorithm, signed) };
    },
  ],
  [
    'Version',
    async (_, request) => {
      guestRequests.None(request);
      return { version: protocolVersion, rev: 'cloister' };
    },
  ],
  [
    'Tappd.DeriveKey',
    async (agent, request, signal) => {
      const { path = '', subject = '', alt_names = [] } = guestRequests.DeriveKey(request);
      return tlsKeyJson(await agent.derivedTlsKey({ path, subject, altNames: alt_names }, signal));
    },
  ],
  [
    'Tappd.TdxQuote',
    async (agent, request, signal) => {
      const { report_data, hash_algorithm = '' } = guestRequests.TdxQuote(request);
      return quoteJson(await agent.quote(legacyReportData(bytesOf(report_data), hash_algorithm), signal));
    },
  ],
  ['Tappd.Info', (agent, request) => infoJson(agent, request)],
]);

/** Answers one request. Throws GUEST_METHOD_UNKNOWN, and as {@link guestCalls}. */
export function askGuest(agent: GuestAgent, method: string, request: unknown, signal: AbortSignal): Promise<Json> {
  const call = guestCalls.get(method);
  if (call === undefined)
    throw new GuestError(
      'GUEST_METHOD_UNKNOWN',
      `The guest agent has no method "${method.slice(0, 80)}"`,
      `It has "${[...guestCalls.keys()].join('", "')}"`,
    );
  return call(agent, request, signal);
}

function quoteJson({ reportData, quote, events, statement, attestation }: MadeQuote): Json {
  return {
    quote: quote === undefined ? '' : hex(quote),
    event_log: JSON.stringify(events),
    report_data: hex(reportData),
    vm_config: statementText(statement),
    ...(quote === undefined && { attestation: hex(attestation) }),
  };
}

function tlsKeyJson({ key, certificateChain }: TlsKey): Json {
  return { key, certificate_chain: certificateChain };
}

async function infoJson(agent: GuestAgent, request: unknown): Promise<Json> {
  guestRequests.None(request);
  const { manifest, instance, keyProvider, simulated } = agent.init;
  const { appCertificate, statement, events, registers } = await agent.info();
  const machine = {
    mr_aggregated: registers?.aggregated ?? '',
    os_image_hash: registers?.imageId ?? '',
    compose_hash: instance.manifest.slice(2),
    // The platform has a name on the chain; a guest is told none of its own.
    device_id: '',
  };
  const tcbInfo = {
    mrtd: registers?.mrtd ?? '',
    rtmr0: registers?.rtmr0 ?? '',
    rtmr1: registers?.rtmr1 ?? '',
    rtmr2: registers?.rtmr2 ?? '',
    // The log's own register: no guest extends one of the hardware.
    rtmr3: statement.log.register.slice(2),
    app_compose: fromUtf8(manifestBytes(manifest)),
    event_log: events,
    ...machine,
  };
  return {
    app_id: instance.app.slice(2),
    instance_id: guestInstanceId(instance).slice(2),
    app_cert: appCertificate,
    tcb_info: JSON.stringify(tcbInfo),
    app_name: manifest.name,
    ...machine,
    key_provider_info: JSON.stringify({ name: 'cloister-committee', id: keyProvider.slice(2) }),
    vm_config: statementText(statement),
    cloud_vendor: simulated ? 'simulated' : 'cloister',
    cloud_product: 'cloister',
  };
}

function hex(bytes: Uint8Array): string {
  return toHex(bytes).slice(2);
}
