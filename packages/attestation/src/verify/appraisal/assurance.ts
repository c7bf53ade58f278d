/** What is said of where a physical machine stands and who may touch it, from least to most; it stands beside evidence, never in it. */
export const assuranceLevels = ['self-asserted', 'owner-endorsed', 'audited'] as const;
export type AssuranceLevel = (typeof assuranceLevels)[number];
