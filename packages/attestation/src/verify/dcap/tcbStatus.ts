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

/** What Intel says of everything that reaches a level. */
export type LevelVerdict = {
  readonly status: TcbStatus;
  /** They explain the status. */
  readonly advisories: readonly string[];
  /** Unix seconds: the date of this TCB. */
  readonly tcbDate: number;
};

/** What a platform, or a part of it, is worth. */
export type TcbVerdict = LevelVerdict & {
  /** Unix seconds: the date of the TCB that superseded it. Null where it is not out of date, 0 where nothing says since when. */
  readonly outOfDateSince: number | null;
};

/**
 * The verdict of the first level, in Intel's order (best first), that is reached; undefined where none is. What is out of date
 * has been so since the oldest of the better levels that are younger than it.
 */
export function judge<Level extends LevelVerdict>(
  levels: readonly Level[],
  reaches: (level: Level) => boolean,
): TcbVerdict | undefined {
  const index = levels.findIndex(reaches);
  const level = levels[index];
  if (level === undefined) return undefined;
  const { status, advisories, tcbDate } = level;
  const younger = levels.slice(0, index).filter((better) => better.tcbDate > tcbDate);
  const since = younger.length === 0 ? 0 : Math.min(...younger.map((better) => better.tcbDate));
  return { status, advisories, tcbDate, outOfDateSince: isOutOfDate(status) ? since : null };
}

/**
 * The status of a platform whose QE or TDX module has a status of its own (Intel, "Determining TCB status" of PCS API v4,
 * and its quote verification library): revoked anywhere is revoked; an outdated part makes the whole outdated, and a
 * configuration need of the platform stays visible. Advisories are united in order; of the dates the older stands.
 */
export function mergeTcb(platform: TcbVerdict, part: TcbVerdict): TcbVerdict {
  const since = [platform.outOfDateSince, part.outOfDateSince].filter((date) => date !== null);
  return {
    status: mergeStatus(platform.status, part.status),
    advisories: [...new Set([...platform.advisories, ...part.advisories])],
    tcbDate: Math.min(platform.tcbDate, part.tcbDate),
    outOfDateSince: since.length === 0 ? null : Math.min(...since),
  };
}

export function isOutOfDate(status: TcbStatus): boolean {
  return status === 'OutOfDate' || status === 'OutOfDateConfigurationNeeded';
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
