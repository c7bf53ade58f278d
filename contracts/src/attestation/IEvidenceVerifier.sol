// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What evidence says, once it has been verified.
/// @param teeType 1 SGX, 2 TDX, 3 SEV-SNP, 4 Nitro.
/// @param simulated Whether the evidence ends in a DEV root instead of a vendor's.
/// @param debug Whether the TEE may be debugged, that is: hides nothing.
/// @param validUntil Unix seconds until which the collateral behind the evidence holds.
/// @param imageId The measured worker build.
/// @param configId The network file that the device reports beside the image.
/// @param platformId The physical machine; the same for every worker on it.
/// @param evidenceHash keccak256 of the signed part of the evidence (of a TDX quote: header and body).
/// @param reportDataHead Bytes 0 to 31 of report_data.
/// @param reportDataTail Bytes 32 to 63 of report_data.
struct EvidenceClaims {
    uint8 teeType;
    bool simulated;
    bool debug;
    uint64 validUntil;
    bytes32 imageId;
    bytes32 configId;
    bytes32 platformId;
    bytes32 evidenceHash;
    bytes32 reportDataHead;
    bytes32 reportDataTail;
}

/// @title IEvidenceVerifier
/// @notice Verifies the evidence of one type of TEE.
interface IEvidenceVerifier {
    /// @notice The claims of evidence that holds. Reverts with an error of the implementation for any other.
    /// @dev Warning: says nothing about policy. Whether the image is allowed, the claims are fresh and bound to the
    /// caller, `validUntil` is in the future, debug or simulated evidence is welcome: the caller decides.
    function verify(bytes calldata evidence) external view returns (EvidenceClaims memory claims);
}
