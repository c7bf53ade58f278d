/** What a server asks for, in the form of x402 version 2. Amounts in the token's smallest unit, as decimal strings. */
export type PaymentRequirements = {
  readonly scheme: string;
  /** CAIP-2. */
  readonly network: `${string}:${string}`;
  readonly asset: string;
  readonly amount: string;
  readonly payTo: string;
  readonly maxTimeoutSeconds: number;
  readonly extra: Record<string, unknown>;
};

/** A PAYMENT-REQUIRED header. */
export type PaymentRequired = {
  readonly x402Version: 2;
  readonly error: string;
  readonly resource: { readonly url: string; readonly description: string };
  readonly accepts: readonly PaymentRequirements[];
};

/** What a scheme makes of requirements; the client of x402 adds what was accepted. */
export type PaymentPayload = { readonly x402Version: number; readonly payload: Record<string, unknown> };

/** What a client of x402 tells a scheme after the answer, as far as ours looks at it. */
export type PaymentAnswered = {
  readonly requirements: PaymentRequirements;
  readonly settleResponse?: unknown;
  readonly paymentRequired?: { readonly error?: string };
};
