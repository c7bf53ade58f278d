// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommittee} from "../governance/ICommittee.sol";
import {IEvidenceVerifier} from "./IEvidenceVerifier.sol";

/// @notice The attestation result (RFC 9334) of evidence that the committee verified. Fields as in {EvidenceClaims}.
/// @param validUntil Unix seconds; the committee looks again before.
struct AttestationResult {
    uint8 teeType;
    bool simulated;
    uint8 tcbStatus;
    uint32 tcbEvaluationDataNumber;
    uint64 validUntil;
    bytes32 imageId;
    bytes32 configId;
    bytes32 platformId;
    bytes32 evidenceHash;
    bytes32 reportDataHead;
    bytes32 reportDataTail;
}

/// @title ICommitteeResultVerifier
/// @notice Takes the committee's word for evidence that this chain can't check itself: SEV-SNP (P-384, RSA-4096) and
/// Nitro (P-384). Every claim it returns says so.
/// @dev Evidence is `abi.encode(AttestationResult result, bytes proof)`; the committee stands behind the EIP-712 digest of
/// the result in the domain of the network's records. Debug evidence gets no result, so `claims.debug` is false.
/// The claims' platformKey is platformId, their tcb is `uint8 teeType ‖ uint8 tcbStatus ‖ uint32 tcbEvaluationDataNumber
/// ‖ uint64 validUntil` in the low bytes.
interface ICommitteeResultVerifier is IEvidenceVerifier {
    event PlatformRevoked(bytes32 indexed platformId);

    error CommitteeResultVerifierWithoutCode(address account);
    error CommitteeResultVerifierMalformed(uint256 evidenceLength);
    error CommitteeResultVerifierTeeType(uint8 expected, uint8 actual);
    error CommitteeResultVerifierTcbStatus(uint8 tcbStatus);
    error CommitteeResultVerifierPlatformRevoked(bytes32 platformId);
    error CommitteeResultVerifierPlatformKnownRevoked(bytes32 platformId);
    error CommitteeResultVerifierNotSigned(bytes32 digest);

    /// @notice Revokes a platform on the committee's word, for ever; its workers can be evicted from then on. Anyone.
    /// @param proof Stands behind {revocationDigest}.
    function revokePlatform(bytes32 platformId, bytes calldata proof) external;

    function resultDigest(AttestationResult calldata result) external view returns (bytes32);
    function revocationDigest(bytes32 platformId) external view returns (bytes32);
    function isRevoked(bytes32 platformId) external view returns (bool);

    function committee() external view returns (ICommittee);

    /// @notice The WorkerRegistry whose domain the committee signs in.
    function workerRegistry() external view returns (address);

    /// @notice The only TEE type it answers for.
    function TEE_TYPE() external view returns (uint8);
}
