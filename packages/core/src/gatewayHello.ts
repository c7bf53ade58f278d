import { keccak256, toHex, utf8 } from '@cloister/crypto';
import { hashStruct, type RecordDomain, structType, typedDataDigest } from './eip712.ts';
import type { Bytes32 } from './hex.ts';

/** A worker's answer to a gateway's challenge when it dials in: nobody else can take its place there. */
export type GatewayHello = {
  readonly workerId: Bytes32;
  /** The gateway's public URL as the challenge named it. */
  readonly gateway: string;
  readonly nonce: Bytes32;
};

const helloType = structType('GatewayHello(bytes32 workerId,string gateway,bytes32 nonce)');

/** The EIP-712 digest that the receipt signer signs. */
export function gatewayHelloDigest(domain: RecordDomain, hello: GatewayHello): Bytes32 {
  return typedDataDigest(
    domain,
    hashStruct(helloType, hello.workerId, toHex(keccak256(utf8(hello.gateway))), hello.nonce),
  );
}
