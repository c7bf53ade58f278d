// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Governed} from "../governance/Governed.sol";
import {IImageRegistry} from "../IImageRegistry.sol";
import {IWorkerRegistryTypes} from "../IWorkerRegistry.sol";
import {BlockHashes} from "../libraries/BlockHashes.sol";
import {EvidenceClaims} from "./IEvidenceVerifier.sol";
import {IEvidencePolicies} from "./IEvidencePolicies.sol";

/// @title EvidencePolicies
/// @notice Base of contracts that take registrations by evidence: the order of checks is what is cheap to refuse,
/// genuineness, binding, freshness, policy.
abstract contract EvidencePolicies is IEvidencePolicies, Governed {
    uint32 private constant MIN_LEASE = 1 minutes;
    uint32 private constant MAX_LEASE = 30 days;
    /// @dev The statuses that a policy may accept: 1 to 6, all but Revoked.
    uint16 private constant ACCEPTABLE_TCB_STATUSES = 0x7e;

    /// @inheritdoc IEvidencePolicies
    IImageRegistry public immutable imageRegistry;
    uint32 public immutable maxAttestedBlockAge;
    bool public immutable simulatedAllowed;

    mapping(uint8 teeType => IWorkerRegistryTypes.TeePolicy) private _policies;

    constructor(IImageRegistry imageRegistry_, uint32 maxAttestedBlockAge_, bool simulatedAllowed_) {
        if (address(imageRegistry_).code.length == 0) {
            revert EvidenceImageRegistryWithoutCode(address(imageRegistry_));
        }
        if (maxAttestedBlockAge_ == 0 || maxAttestedBlockAge_ > BlockHashes.HISTORY_WINDOW) {
            revert EvidenceBlockAgeOutOfRange(maxAttestedBlockAge_, uint32(BlockHashes.HISTORY_WINDOW));
        }
        imageRegistry = imageRegistry_;
        maxAttestedBlockAge = maxAttestedBlockAge_;
        simulatedAllowed = simulatedAllowed_;
    }

    /// @inheritdoc IEvidencePolicies
    function setTeePolicy(
        uint8 teeType,
        IWorkerRegistryTypes.TeePolicy calldata policy
    ) external onlyTimelock {
        if (address(policy.verifier) != address(0) && address(policy.verifier).code.length == 0) {
            revert EvidenceVerifierWithoutCode(address(policy.verifier));
        }
        if (policy.leaseDuration < MIN_LEASE || policy.leaseDuration > MAX_LEASE) {
            revert EvidenceLeaseDurationOutOfRange(policy.leaseDuration, MIN_LEASE, MAX_LEASE);
        }
        if (policy.acceptedTcbStatuses == 0 || policy.acceptedTcbStatuses & ~ACCEPTABLE_TCB_STATUSES != 0) {
            revert EvidenceTcbStatusesInvalid(policy.acceptedTcbStatuses);
        }
        _policies[teeType] = policy;
        emit TeePolicySet(teeType, policy);
    }

    /// @inheritdoc IEvidencePolicies
    function teePolicyOf(uint8 teeType) external view returns (IWorkerRegistryTypes.TeePolicy memory) {
        return _policies[teeType];
    }

    /// @dev Verifies the evidence and holds its claims against binding, block and policy.
    /// @return claims What the evidence says.
    /// @return leaseUntil The earlier of now + the policy's leaseDuration and the end of the collateral.
    function _appraise(
        uint8 teeType,
        bytes32 binding,
        uint64 attestedBlock,
        bytes calldata evidence
    ) internal returns (EvidenceClaims memory claims, uint64 leaseUntil) {
        bytes32 attestedHash = _hashOf(attestedBlock);

        IWorkerRegistryTypes.TeePolicy memory policy = _policies[teeType];
        if (address(policy.verifier) == address(0)) revert EvidenceVerifierMissing(teeType);
        claims = policy.verifier.verify(evidence);
        if (claims.teeType != teeType) revert EvidenceTeeTypeMismatch(teeType, claims.teeType);

        if (claims.reportDataHead != binding) revert EvidenceBindingMismatch(binding, claims.reportDataHead);
        if (claims.reportDataTail != attestedHash) {
            revert EvidenceBlockHashMismatch(attestedBlock, attestedHash, claims.reportDataTail);
        }

        if (claims.debug) revert EvidenceDebugRefused();
        if (claims.simulated && !simulatedAllowed) revert EvidenceSimulatedRefused();
        if (!_isAccepted(claims.tcbStatus, policy.acceptedTcbStatuses)) {
            revert EvidenceTcbNotAccepted(claims.tcbStatus, policy.acceptedTcbStatuses);
        }
        if (claims.tcbEvaluationDataNumber < policy.minimumTcbEvaluationDataNumber) {
            revert EvidenceTcbEvaluationTooOld(claims.tcbEvaluationDataNumber, policy.minimumTcbEvaluationDataNumber);
        }
        (bool imageAllowed, bool configAllowed) = imageRegistry.areAllowed(claims.imageId, claims.configId);
        if (!imageAllowed) revert EvidenceImageNotAllowed(claims.imageId);
        if (!configAllowed) revert EvidenceConfigNotAllowed(claims.configId);
        if (imageRegistry.isPlatformBlocked(claims.platformId)) revert EvidencePlatformBlocked(claims.platformId);
        if (claims.validUntil <= block.timestamp) revert EvidenceExpired(claims.validUntil, block.timestamp);

        uint256 policyEnd = block.timestamp + policy.leaseDuration;
        leaseUntil = claims.validUntil < policyEnd ? claims.validUntil : uint64(policyEnd);
    }

    /// @dev Whether a registration may not go on, under images, collateral and policy of now, and why.
    function _causeAgainst(
        uint8 teeType,
        bytes32 imageId,
        bytes32 configId,
        bytes32 platformId,
        bytes32 platformKey,
        bytes32 tcb
    ) internal view returns (bool found, IWorkerRegistryTypes.EvictionCause cause) {
        (bool imageAllowed, bool configAllowed) = imageRegistry.areAllowed(imageId, configId);
        if (!imageAllowed) return (true, IWorkerRegistryTypes.EvictionCause.ImageNotAllowed);
        if (!configAllowed) return (true, IWorkerRegistryTypes.EvictionCause.ConfigNotAllowed);
        if (imageRegistry.isPlatformBlocked(platformId)) {
            return (true, IWorkerRegistryTypes.EvictionCause.PlatformBlocked);
        }
        IWorkerRegistryTypes.TeePolicy memory policy = _policies[teeType];
        if (address(policy.verifier) == address(0)) return (false, cause);
        (uint8 status, uint32 evaluation,) = policy.verifier.recheck(platformKey, tcb);
        found = !_isAccepted(status, policy.acceptedTcbStatuses) || evaluation < policy.minimumTcbEvaluationDataNumber;
        cause = IWorkerRegistryTypes.EvictionCause.TcbNotAccepted;
    }

    function _isAccepted(uint8 tcbStatus, uint16 accepted) private pure returns (bool) {
        return (uint256(accepted) >> tcbStatus) & 1 == 1;
    }

    function _hashOf(uint64 attestedBlock) private view returns (bytes32 attestedHash) {
        uint256 oldest = block.number > maxAttestedBlockAge ? block.number - maxAttestedBlockAge : 0;
        if (attestedBlock < oldest) revert EvidenceBlockTooOld(attestedBlock, oldest);
        attestedHash = BlockHashes.tryGet(attestedBlock);
        if (attestedHash == 0) revert EvidenceBlockUnknown(attestedBlock, block.number);
    }
}
