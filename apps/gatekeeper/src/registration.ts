import { type ChainAccount, type CommitteeReader, gatekeeperCommitteeAbi } from '@cloister/chain';
import { type Address, type Bytes32, gatekeeperReportData } from '@cloister/core';
import { LeaseKeeper, type LeaseKeeperComponents } from '@cloister/enclave';

export type GatekeeperRegistrationComponents = Pick<
  LeaseKeeperComponents,
  'device' | 'ownNetwork' | 'chainEvidence' | 'log'
> & {
  readonly reader: CommitteeReader;
  readonly operator: ChainAccount;
};

export type GatekeeperRegistrationInit = {
  readonly chainId: number;
  readonly signer: Address;
  readonly hpkeKey: Bytes32;
  readonly endpoint: string;
};

/** Keeps a gatekeeper registered with the committee's contract. */
export function gatekeeperRegistration(
  components: GatekeeperRegistrationComponents,
  init: GatekeeperRegistrationInit,
): LeaseKeeper {
  const { reader, operator } = components;
  const { chainId, signer, hpkeKey, endpoint } = init;
  return new LeaseKeeper(
    { ...components, view: reader.view },
    {
      prepare: async () => {},
      reportData: async (head, attested, signal) =>
        gatekeeperReportData(
          {
            chainId,
            committee: reader.address,
            operator: operator.address,
            signer,
            hpkeKey,
            networkKeysHash: await reader.networkKeysHash(head.number, signal),
          },
          attested.hash,
        ),
      submit: async ({ teeType, evidence }, attestedBlock, signal) => {
        await operator.write(
          {
            address: reader.address,
            abi: gatekeeperCommitteeAbi,
            functionName: 'register',
            args: [signer, hpkeKey, endpoint, attestedBlock, teeType, evidence],
          },
          signal,
        );
        return (await reader.gatekeeper(operator.address, undefined, signal)).leaseUntil;
      },
      stands: async (signal) => {
        const registered = await reader.gatekeeper(operator.address, undefined, signal);
        return registered.signer === signer && registered.hpkeKey === hpkeKey && registered.leaseUntil > 0n;
      },
    },
  );
}
