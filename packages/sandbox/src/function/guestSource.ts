/**
 * A part of the services' source: `ctx.guest`, with the methods, arguments and answers of the client that dstack has for Node.js. That one
 * itself needs sockets and files of Node.js, which a function has none of.
 */
export const guestSource = `
function guest(ask) {
  const call = async (method, request = {}) => {
    const { bytes, ...answer } = await ask('guest.ask', { method, request });
    return answer;
  };
  return {
    async getKey(path = '', purpose = '', algorithm = 'secp256k1') {
      const { key, signature_chain } = await call('GetKey', { path, purpose, algorithm });
      return { key: ofHex(key), signature_chain: signature_chain.map(ofHex) };
    },
    getTlsKey: (options = {}) =>
      call('GetTlsKey', {
        subject: options.subject ?? '',
        alt_names: options.altNames ?? [],
        usage_ra_tls: options.usageRaTls ?? false,
        usage_server_auth: options.usageServerAuth ?? true,
        usage_client_auth: options.usageClientAuth ?? false,
        ...(options.notBefore === undefined ? {} : { not_before: options.notBefore }),
        ...(options.notAfter === undefined ? {} : { not_after: options.notAfter }),
        ...(options.withAppInfo === undefined ? {} : { with_app_info: options.withAppInfo }),
      }),
    getQuote: (reportData) => call('GetQuote', { report_data: hexOf(reportData) }),
    attest: (reportData) => call('Attest', { report_data: hexOf(reportData) }),
    async info() {
      const { tcb_info, ...info } = await call('Info');
      return { ...info, tcb_info: JSON.parse(tcb_info) };
    },
    version: () => call('Version'),
    async emitEvent(event, payload) {
      await call('EmitEvent', { event, payload: hexOf(payload) });
    },
    async sign(algorithm, data) {
      const { signature, signature_chain, public_key } = await call('Sign', { algorithm, data: hexOf(data) });
      return {
        signature: ofHex(signature),
        signature_chain: signature_chain.map(ofHex),
        public_key: ofHex(public_key),
      };
    },
    verify: (algorithm, data, signature, publicKey) =>
      call('Verify', { algorithm, data: hexOf(data), signature: hexOf(signature), public_key: hexOf(publicKey) }),
  };
}

function hexOf(value) {
  return asBytes(value).toHex();
}

function ofHex(hex) {
  return Uint8Array.fromHex(hex);
}
`;
