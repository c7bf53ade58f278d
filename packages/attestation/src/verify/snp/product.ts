/** AMD's names of the lines of processors, as its certificates bear them. */
export const snpProducts = ['Milan', 'Genoa', 'Turin'] as const;
export type SnpProduct = (typeof snpProducts)[number];

/** The line of a processor by CPUID family and model (AMD, PPRs of families 19h and 1Ah); undefined for others. Bergamo and Siena have Genoa's keys. */
export function productOfCpuid(family: number, model: number): SnpProduct | undefined {
  if (family === 0x19 && model < 0x10) return 'Milan';
  if (family === 0x19 && (model < 0x20 || (model >= 0xa0 && model < 0xb0))) return 'Genoa';
  if (family === 0x1a && model < 0x20) return 'Turin';
  return undefined;
}
