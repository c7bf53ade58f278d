/** What a verified token says of one GPU. An attachment beside evidence: alone it says nothing of the guest that holds the GPU. */
export type GpuClaims = {
  /** As the verifier names it: `GPU-0`. */
  readonly id: string;
  /** As its certificate names it: `GH100 A01 GSP BROM`. */
  readonly model: string;
  readonly driverVersion: string;
  readonly vbiosVersion: string;
  /** Its unique id, a decimal number. */
  readonly ueid: string;
  /** 32 bytes, bare lower-case hexadecimal: what the GPU was challenged with. */
  readonly nonce: string;
  /** Who vouches for it. */
  readonly issuer: string;
  /** Unix seconds. */
  readonly issuedAt: number;
  readonly notAfter: number;
};
