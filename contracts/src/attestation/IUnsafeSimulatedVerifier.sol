// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEvidenceVerifier} from "./IEvidenceVerifier.sol";

/// @title IUnsafeSimulatedVerifier
/// @notice Verifies evidence of the simulated TEE: a quote of the real format that a DEV key vouches for.
/// @dev Evidence is `abi.encode(bytes quotePart, bytes16 platformId, uint64 validUntil, uint256 r, uint256 s)`, 832 bytes,
/// where quotePart is the 48-byte header and the 584-byte TD 1.0 body of a TDX quote of version 4, and (r, s) is
/// a P-256 signature over
/// `sha256("cloister/unsafe-simulated-endorsement: v1" ‖ uint256 chainId ‖ keccak256(quotePart) ‖ platformId ‖ validUntil)`.
/// The claims' platformId is those 16 bytes followed by 16 zero bytes, their evidenceHash is keccak256(quotePart).
/// Warning: proves nothing about hardware. Whoever has the DEV key makes evidence for any image.
interface IUnsafeSimulatedVerifier is IEvidenceVerifier {
    error UnsafeSimulatedVerifierWrongChain(uint256 expected, uint256 actual);
    error UnsafeSimulatedVerifierRootMissing(uint256 rootX, uint256 rootY);
    error UnsafeSimulatedVerifierMalformed(uint256 evidenceLength);
    error UnsafeSimulatedVerifierQuoteVersion(uint16 version);
    error UnsafeSimulatedVerifierAttestationKeyType(uint16 keyType);
    error UnsafeSimulatedVerifierTeeType(uint32 teeType);
    error UnsafeSimulatedVerifierDebug(uint64 tdAttributes);
    error UnsafeSimulatedVerifierConfigPadding(bytes16 padding);
    error UnsafeSimulatedVerifierSignature(bytes32 digest);

    /// @notice The public DEV key, affine coordinates on P-256.
    function ROOT_X() external view returns (uint256);
    function ROOT_Y() external view returns (uint256);

    /// @notice The only chain on which this verifier answers.
    function CHAIN_ID() external view returns (uint256);

    /// @notice The digest that the DEV key signs.
    function endorsementDigest(
        bytes calldata quotePart,
        bytes16 platformId,
        uint64 validUntil
    ) external view returns (bytes32);
}
