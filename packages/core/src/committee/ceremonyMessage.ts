import { keccak256, toHex, utf8 } from '@cloister/crypto';
import { hashStruct, type RecordDomain, structType, typedDataDigest } from '../eip712.ts';
import type { Bytes32 } from '../hex.ts';
import { canonicalJson } from '../jcs.ts';

const ceremonyMessageType = structType('CeremonyMessage(bytes32 session,string kind,bytes32 bodyHash)');

/**
 * The EIP-712 digest of one message of a key ceremony.
 * @param body hashed as keccak256 of its canonical JSON (RFC 8785)
 */
export function ceremonyMessageDigest(domain: RecordDomain, session: Bytes32, kind: string, body: unknown): Bytes32 {
  return typedDataDigest(
    domain,
    hashStruct(ceremonyMessageType, session, toHex(keccak256(utf8(kind))), toHex(keccak256(utf8(canonicalJson(body))))),
  );
}
