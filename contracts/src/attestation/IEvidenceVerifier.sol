// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What evidence says, once it has been verified.
/// @param teeType 1 SGX, 2 TDX, 3 SEV-SNP, 4 Nitro.
/// @param attestedBy 1 this chain checked the evidence itself, 2 the committee signed a result.
/// @param simulated Whether the evidence ends in a DEV root instead of a vendor's.
/// @param debug Whether the TEE may be debugged, that is: hides nothing.
/// @param tcbStatus 1 UpToDate, 2 SWHardeningNeeded, 3 ConfigurationNeeded, 4 ConfigurationAndSWHardeningNeeded,
/// 5 OutOfDate, 6 OutOfDateConfigurationNeeded, 7 Revoked.
/// @param tcbEvaluationDataNumber The lower of the numbers of TCB info and QE identity.
/// @param validUntil Unix seconds until which collateral and certificates behind the evidence hold.
/// @param imageId The measured worker build.
/// @param configId The network file that the device reports beside the image.
/// @param platformId The physical machine; the same for every worker on it.
/// @param evidenceHash keccak256 of the signed part of the evidence (of a quote: header and body).
/// @param reportDataHead Bytes 0 to 31 of report_data.
/// @param reportDataTail Bytes 32 to 63 of report_data.
/// @param platformKey keccak256 of the platform's certified key; zero where the committee signed a result.
/// @param tcb What the verdict rests on besides the platform's certificate; only the verifier reads it.
struct EvidenceClaims {
    uint8 teeType;
    uint8 attestedBy;
    bool simulated;
    bool debug;
    uint8 tcbStatus;
    uint32 tcbEvaluationDataNumber;
    uint64 validUntil;
    bytes32 imageId;
    bytes32 configId;
    bytes32 platformId;
    bytes32 evidenceHash;
    bytes32 reportDataHead;
    bytes32 reportDataTail;
    bytes32 platformKey;
    bytes32 tcb;
}

/// @title IEvidenceVerifier
/// @notice Verifies the evidence of one type of TEE.
interface IEvidenceVerifier {
    /// @notice The claims of evidence that holds. Reverts with an error of the implementation for any other.
    /// @dev Not a view: it may remember what it has proven. Anyone may call it; only proven facts are remembered.
    /// Warning: says nothing about policy. Whether the image is allowed, the claims are fresh and bound to the
    /// caller, the TCB status is good enough, `validUntil` is in the future, debug or simulated evidence is welcome: the
    /// caller decides.
    function verify(bytes calldata evidence) external returns (EvidenceClaims memory claims);

    /// @notice What the verdict on claims given before would be under the collateral of now.
    /// @param platformKey As in the claims.
    /// @param tcb As in the claims.
    /// @return tcbStatus 7 also where nothing vouches for the platform any more: its certificate, its CA or a signer of
    /// its collateral is revoked, it reaches no level, or Intel describes its enclave or module otherwise than then.
    /// @return tcbEvaluationDataNumber As in the claims.
    /// @return validUntil As in the claims; may lie in the past.
    function recheck(
        bytes32 platformKey,
        bytes32 tcb
    ) external view returns (uint8 tcbStatus, uint32 tcbEvaluationDataNumber, uint64 validUntil);
}
