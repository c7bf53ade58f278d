import type { Generation, Person } from '../../apps/gatekeeper/test/ceremonyRoom.ts';
import { makeKey } from '../../packages/threshold/test/keyCeremony.ts';

/** Two keys among these people without a ceremony between them: one process deals for all. */
export function dealtGeneration(people: readonly Person[], threshold: number): Generation {
  const [apps, beacon] = [makeKey(threshold, people.length), makeKey(threshold, people.length)];
  const shares = people.map(({ signer }, index) => {
    const pair = { apps: apps.shares[index], beacon: beacon.shares[index] };
    if (pair.apps === undefined || pair.beacon === undefined) throw new Error('Expected a share for each');
    return [signer, { apps: pair.apps, beacon: pair.beacon }] as const;
  });
  const made = {
    dealers: people.map(({ signer }) => signer),
    transcriptHash: `0x${'00'.repeat(32)}` as const,
    apps: apps.commitments,
    beacon: beacon.commitments,
  };
  return { threshold, people, made, shares: new Map(shares) };
}
