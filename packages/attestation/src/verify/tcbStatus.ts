/** TCB statuses as Intel names them (Intel PCS API v4, "TCB info"), from best to worst. */
export const tcbStatuses = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
] as const;
export type TcbStatus = (typeof tcbStatuses)[number];

/** A status with the advisories that explain it. */
export type TcbVerdict = { readonly status: TcbStatus; readonly advisories: readonly string[] };

/**
 * The status of a platform whose QE or TDX module has a status of its own (Intel, "Determining TCB status" of PCS API v4,
 * and its quote verification library): revoked anywhere is revoked; an outdated part makes the whole outdated, and a
 * configuration need of the platform stays visible. Advisories are united in order.
 */
export function mergeTcb(platform: TcbVerdict, part: TcbVerdict): TcbVerdict {
  const advisories = [...new Set([...platform.advisories, ...part.advisories])];
  return { status: mergeStatus(platform.status, part.status), advisories };
}

function mergeStatus(platform: TcbStatus, part: TcbStatus): TcbStatus {
  if (platform === 'Revoked' || part === 'Revoked') return 'Revoked';
  if (part === 'OutOfDate') {
    if (platform === 'UpToDate' || platform === 'SWHardeningNeeded') return 'OutOfDate';
    if (platform === 'ConfigurationNeeded' || platform === 'ConfigurationAndSWHardeningNeeded')
      return 'OutOfDateConfigurationNeeded';
    return platform;
  }
  // Intel gives parts no other status; should it, the worse of the two stands.
  return tcbStatuses.indexOf(part) > tcbStatuses.indexOf(platform) ? part : platform;
}
