// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IImageRegistry} from "../IImageRegistry.sol";
import {IWorkerRegistryTypes} from "../IWorkerRegistry.sol";

/// @title IEvidencePolicies
/// @notice What a contract asks of evidence before it takes a registration by it.
interface IEvidencePolicies {
    event TeePolicySet(uint8 indexed teeType, IWorkerRegistryTypes.TeePolicy policy);

    error EvidenceImageRegistryWithoutCode(address imageRegistry);
    error EvidenceBlockAgeOutOfRange(uint32 blocks, uint32 maximum);
    error EvidenceLeaseDurationOutOfRange(uint32 duration, uint32 minimum, uint32 maximum);
    error EvidenceVerifierWithoutCode(address verifier);
    error EvidenceTcbStatusesInvalid(uint16 acceptedTcbStatuses);
    error EvidenceBlockTooOld(uint64 attestedBlock, uint256 oldest);
    error EvidenceBlockUnknown(uint64 attestedBlock, uint256 blockNumber);
    error EvidenceVerifierMissing(uint8 teeType);
    error EvidenceTeeTypeMismatch(uint8 stated, uint8 verified);
    error EvidenceBindingMismatch(bytes32 expected, bytes32 reported);
    error EvidenceBlockHashMismatch(uint64 attestedBlock, bytes32 expected, bytes32 reported);
    error EvidenceDebugRefused();
    error EvidenceSimulatedRefused();
    error EvidenceTcbNotAccepted(uint8 tcbStatus, uint16 acceptedTcbStatuses);
    error EvidenceTcbEvaluationTooOld(uint32 tcbEvaluationDataNumber, uint32 minimum);
    error EvidenceImageNotAllowed(bytes32 imageId);
    error EvidenceConfigNotAllowed(bytes32 configId);
    error EvidencePlatformBlocked(bytes32 platformId);
    error EvidenceExpired(uint64 validUntil, uint256 timestamp);

    /// @notice Sets what evidence of a TEE type must meet from now on. Timelock only.
    /// @dev Warning: running leases that no longer meet it end only by eviction.
    function setTeePolicy(uint8 teeType, IWorkerRegistryTypes.TeePolicy calldata policy) external;

    function teePolicyOf(uint8 teeType) external view returns (IWorkerRegistryTypes.TeePolicy memory);

    /// @notice Where images and network files are allowed.
    function imageRegistry() external view returns (IImageRegistry);
    function maxAttestedBlockAge() external view returns (uint32);
    function simulatedAllowed() external view returns (bool);
}
