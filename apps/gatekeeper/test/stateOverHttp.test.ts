import { createMetrics, silentLogger } from '@cloister/service';
import { StateCommittee, StateStore } from '@cloister/state';
import { uncompressG2Native, verifySignatureNative } from '@cloister/threshold/native';
import { afterEach, expect, test } from 'vitest';
import type { BeaconKeeper } from '../src/beacon/beaconKeeper.ts';
import type { BridgeService } from '../src/bridge/bridgeService.ts';
import type { EpochKeeper } from '../src/epochs/epochKeeper.ts';
import type { HandoverKeeper } from '../src/handover/handoverKeeper.ts';
import type { KeyService } from '../src/keys/keyService.ts';
import type { ResultService } from '../src/results/resultService.ts';
import type { RoundKeeper } from '../src/rounds/roundKeeper.ts';
import { GatekeeperServer } from '../src/server.ts';
import { domain } from './ceremonyRoom.ts';
import {
  bytes,
  type Host,
  keyOf,
  makeHost,
  type StateMemberAtWork,
  StateTown,
  signal,
  subject,
  text,
} from './stateTown.ts';

const servers: GatekeeperServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

/** A member's real door, on loopback. */
async function served({ service, recovery, person }: StateMemberAtWork) {
  const server = new GatekeeperServer(
    {
      keys: {} as KeyService,
      handovers: {} as HandoverKeeper,
      beacon: {} as BeaconKeeper,
      rounds: {} as RoundKeeper,
      results: {} as ResultService,
      bridges: {} as BridgeService,
      epochs: {} as EpochKeeper,
      states: service,
      stateRecovery: recovery,
      publicSharesOf: () => undefined,
      head: () => undefined,
      status: () => undefined,
      evidence: () => undefined,
      metrics: createMetrics(),
      log: silentLogger,
    },
    { host: '127.0.0.1', port: 0 },
  );
  servers.push(server);
  return { signer: person.signer, endpoint: await server.start() };
}

test('a host writes through the members’ real doors, another goes on from there, and anybody sees how far it is', async () => {
  const town = await StateTown.of(4, 3);
  const members = await Promise.all(town.members.map(served));
  const open = (host: Host) => {
    town.hosts.add(host.signer);
    const committee = new StateCommittee(
      {
        generation: async () => ({ number: 1n, threshold: 3, members }),
        now: async () => ({ epoch: 10n, block: town.block }),
        me: host,
      },
      { domain, beaconKey: town.beaconKey, verify: verifySignatureNative, uncompress: uncompressG2Native },
    );
    return StateStore.open({ committee, blobs: town.blobs, keyOf }, subject, signal);
  };
  const first = await open(makeHost());
  await first.put('x', bytes('1'), signal);
  const [gone] = servers.splice(0, 1);
  await gone?.stop();
  await first.put('x', bytes('2'), signal);
  await expect(open(makeHost())).rejects.toMatchObject({ code: 'STATE_HELD', retry: true });
  town.wait();
  const second = await open(makeHost());
  expect([text(second.get('x')), second.head.version]).toEqual(['2', 2n]);
  await expect(first.put('x', bytes('3'), signal)).rejects.toMatchObject({ code: 'STATE_FENCED' });
  const seen = await fetch(`${members[2]?.endpoint}/v1/state/${subject.app}/${subject.partition}`);
  expect(await seen.json()).toMatchObject({ generation: '1', fence: '2', certified: { version: '2', fence: '2' } });
});
