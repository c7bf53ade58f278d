import { type EvidenceDocument, type LaunchConfig, launchConfigOf } from '@cloister/attestation/verify';
import { type Bytes32, CloisterError } from '@cloister/core';

/** The network file that a service runs with, and who said so where the hardware can't. */
export type OwnNetwork = {
  /** Id of the file that was read at start. */
  readonly id: Bytes32;
  /** In a dstack CVM: the id that the compose file states, which the hardware reports by its hash. */
  readonly composed?: Bytes32 | undefined;
};

/**
 * Makes sure that evidence of this service states the network file that it really runs with. The registry can't: it knows which
 * ids are allowed, not which file was read, so a host could state an allowed one and give the service another, with RPCs and
 * contracts of its own. This code is measured with everything else. Throws NETWORK_FILE_MISMATCH.
 */
export function assertOwnNetwork(document: EvidenceDocument, own: OwnNetwork): void {
  const launch = launchConfigOf(document);
  if (own.composed !== undefined && own.composed !== own.id)
    throw new OwnNetworkError(own, launch, `its compose file states "${own.composed}"`);
  if (launch.composeHash === null) {
    if (launch.configId !== own.id)
      throw new OwnNetworkError(own, launch, `its evidence states "${launch.stated ?? 'nothing'}"`);
  } else if (own.composed === undefined)
    throw new OwnNetworkError(own, launch, `its dstack app "${launch.composeHash}" states none`);
}

/** Someone gave this service another network file than its evidence names. */
export class OwnNetworkError extends CloisterError<'NETWORK_FILE_MISMATCH'> {
  override readonly name = 'OwnNetworkError';
  constructor({ id }: OwnNetwork, launch: LaunchConfig, why: string) {
    super({
      code: 'NETWORK_FILE_MISMATCH',
      message: `The network file in use is "${id}", and ${why}`,
      meta: { networkFile: id, ...launch },
      hint:
        launch.composeHash === null
          ? 'Start the machine with the id of this network file as MRCONFIGID (TDX, 16 zero bytes behind) or HOST_DATA (SEV-SNP)'
          : 'Deploy the app-compose.json that "npm run image" makes for this network file; it gives --networkId to the worker',
    });
  }
}
