import { type Address, type GatewayHello, gatewayHelloDigest, type RecordDomain } from '@cloister/core';
import { CryptoError, fromHex, recoverAddress } from '@cloister/crypto';

/** Whether `signature` (65 bytes, hexadecimal) over the hello was made by `signer`, the worker's receipt signer. */
export function verifyHello(domain: RecordDomain, hello: GatewayHello, signature: string, signer: Address): boolean {
  try {
    return recoverAddress(fromHex(gatewayHelloDigest(domain, hello)), fromHex(signature)) === signer.toLowerCase();
  } catch (error) {
    if (error instanceof CryptoError) return false;
    throw error;
  }
}
