// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IQuoteVerifier} from "./IQuoteVerifier.sol";

/// @title ITdxVerifier
/// @notice Verifies TDX quotes of version 4 and 5, of TD 1.0 and 1.5.
/// @dev `imageId` is {Ids.tdxImageId}; `configId` the first 32 bytes of MRCONFIGID, which zeros must follow. In a dstack
/// CVM `imageId` is {Ids.dstackImageId}, `configId` its compose hash; {Ids.tdxConfig} tells them apart.
/// Refused by itself: a TD that may be debugged or lacks SEPT_VE_DISABLE, reserved attributes, a bound service TD.
interface ITdxVerifier is IQuoteVerifier {
    error TdxVerifierBody(uint16 bodyType, uint32 bodyLength);
    error TdxVerifierAttributes(uint64 tdAttributes);
    error TdxVerifierServiceTd(bytes32 head, bytes16 rest);
    error TdxVerifierConfigForm(bytes32 head, bytes16 rest);
    error TdxVerifierModuleUnknown(uint8 version);
    error TdxVerifierModuleMismatch(bytes32 mrSigner, bytes16 mrSignerRest, bytes8 attributes);
    error TdxVerifierModuleLevelNotFound(uint8 version, uint8 svn);
}
