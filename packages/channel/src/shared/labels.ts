import { utf8 } from '@cloister/crypto';

// Not RFC 9458's own labels: its responses have another form, and a request of one kind must not open as the other.
export const requestLabel = utf8('message/cloister-req: v1\0');
export const responseLabel = utf8('message/cloister-res: v1');
export const inputSaltLabel = utf8('cloister/input-salt: v1');
export const outputSaltLabel = utf8('cloister/output-salt: v1');
export const requestStreamLabel = utf8('message/cloister-req-stream: v1');

/** AAD of the last chunk of a response; all others have none. */
export const finalAad = utf8('final');
export const noBytes = new Uint8Array(0);

/** Media type of a sealed request. */
export const requestMediaType = 'message/cloister-req';
/** Media type of a sealed request whose body follows chunk by chunk. */
export const requestStreamMediaType = 'message/cloister-req-stream';
/** Media type of a sealed response. */
export const responseMediaType = 'message/cloister-res';
