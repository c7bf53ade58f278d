// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IQuoteVerifier} from "./IQuoteVerifier.sol";

/// @title ISgxVerifier
/// @notice Verifies SGX quotes of version 3.
/// @dev `imageId` is {Ids.sgxImageId}: MRENCLAVE measures all that an enclave starts from. `configId` is the first 32 bytes
/// of CONFIGID, which the host chooses at the start of an enclave with key separation and sharing, as MRCONFIGID is chosen
/// for a TD; zeros must follow, and an enclave without that feature has none.
/// Refused by itself: an enclave that may be debugged.
interface ISgxVerifier is IQuoteVerifier {
    error SgxVerifierDebug(bytes16 attributes);
    error SgxVerifierConfigPadding(bytes32 padding);
}
