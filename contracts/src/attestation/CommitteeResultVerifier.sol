// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommittee} from "../governance/ICommittee.sol";
import {ReceiptLib} from "../receipts/ReceiptLib.sol";
import {AttestationResult, ICommitteeResultVerifier} from "./ICommitteeResultVerifier.sol";
import {EvidenceClaims, IEvidenceVerifier} from "./IEvidenceVerifier.sol";

/// @title CommitteeResultVerifier
contract CommitteeResultVerifier is ICommitteeResultVerifier {
    bytes32 private constant RESULT_TYPEHASH = keccak256(
        "AttestationResult(uint8 teeType,bool simulated,uint8 tcbStatus,uint32 tcbEvaluationDataNumber,uint64 validUntil,bytes32 imageId,bytes32 configId,bytes32 platformId,bytes32 evidenceHash,bytes32 reportDataHead,bytes32 reportDataTail)"
    );
    bytes32 private constant REVOCATION_TYPEHASH = keccak256("PlatformRevocation(uint8 teeType,bytes32 platformId)");
    uint8 private constant ATTESTED_BY_COMMITTEE = 2;
    uint8 private constant TCB_UP_TO_DATE = 1;
    uint8 private constant TCB_REVOKED = 7;
    /// @dev 11 words of the result, then offset and length of the proof.
    uint256 private constant SHORTEST_EVIDENCE = 13 * 32;

    /// @inheritdoc ICommitteeResultVerifier
    ICommittee public immutable committee;

    /// @inheritdoc ICommitteeResultVerifier
    address public immutable workerRegistry;

    /// @inheritdoc ICommitteeResultVerifier
    uint8 public immutable TEE_TYPE;

    /// @inheritdoc ICommitteeResultVerifier
    mapping(bytes32 platformId => bool) public isRevoked;

    constructor(ICommittee committee_, address workerRegistry_, uint8 teeType) {
        if (address(committee_).code.length == 0) revert CommitteeResultVerifierWithoutCode(address(committee_));
        if (workerRegistry_.code.length == 0) revert CommitteeResultVerifierWithoutCode(workerRegistry_);
        committee = committee_;
        workerRegistry = workerRegistry_;
        TEE_TYPE = teeType;
    }

    /// @inheritdoc IEvidenceVerifier
    function verify(bytes calldata evidence) external view returns (EvidenceClaims memory claims) {
        if (evidence.length < SHORTEST_EVIDENCE) revert CommitteeResultVerifierMalformed(evidence.length);
        (AttestationResult memory result, bytes memory proof) = abi.decode(evidence, (AttestationResult, bytes));
        if (result.teeType != TEE_TYPE) revert CommitteeResultVerifierTeeType(TEE_TYPE, result.teeType);
        if (result.tcbStatus < TCB_UP_TO_DATE || result.tcbStatus > TCB_REVOKED) {
            revert CommitteeResultVerifierTcbStatus(result.tcbStatus);
        }
        if (isRevoked[result.platformId]) revert CommitteeResultVerifierPlatformRevoked(result.platformId);
        bytes32 digest = _digest(keccak256(abi.encode(RESULT_TYPEHASH, result)));
        if (!committee.verify(digest, proof)) revert CommitteeResultVerifierNotSigned(digest);

        claims.teeType = result.teeType;
        claims.attestedBy = ATTESTED_BY_COMMITTEE;
        claims.simulated = result.simulated;
        claims.tcbStatus = result.tcbStatus;
        claims.tcbEvaluationDataNumber = result.tcbEvaluationDataNumber;
        claims.validUntil = result.validUntil;
        claims.imageId = result.imageId;
        claims.configId = result.configId;
        claims.platformId = result.platformId;
        claims.evidenceHash = result.evidenceHash;
        claims.reportDataHead = result.reportDataHead;
        claims.reportDataTail = result.reportDataTail;
        claims.platformKey = result.platformId;
        claims.tcb = bytes32(
            uint256(result.teeType) << 104 | uint256(result.tcbStatus) << 96
                | uint256(result.tcbEvaluationDataNumber) << 64 | result.validUntil
        );
    }

    /// @inheritdoc IEvidenceVerifier
    function recheck(
        bytes32 platformKey,
        bytes32 tcb
    ) external view returns (uint8 tcbStatus, uint32 tcbEvaluationDataNumber, uint64 validUntil) {
        uint256 packed = uint256(tcb);
        tcbStatus = isRevoked[platformKey] ? TCB_REVOKED : uint8(packed >> 96);
        tcbEvaluationDataNumber = uint32(packed >> 64);
        validUntil = uint64(packed);
    }

    /// @inheritdoc ICommitteeResultVerifier
    function revokePlatform(bytes32 platformId, bytes calldata proof) external {
        if (isRevoked[platformId]) revert CommitteeResultVerifierPlatformKnownRevoked(platformId);
        bytes32 digest = revocationDigest(platformId);
        if (!committee.verify(digest, proof)) revert CommitteeResultVerifierNotSigned(digest);
        isRevoked[platformId] = true;
        emit PlatformRevoked(platformId);
    }

    /// @inheritdoc ICommitteeResultVerifier
    function resultDigest(AttestationResult calldata result) external view returns (bytes32) {
        return _digest(keccak256(abi.encode(RESULT_TYPEHASH, result)));
    }

    /// @inheritdoc ICommitteeResultVerifier
    function revocationDigest(bytes32 platformId) public view returns (bytes32) {
        return _digest(keccak256(abi.encode(REVOCATION_TYPEHASH, TEE_TYPE, platformId)));
    }

    function _digest(bytes32 structHash) private view returns (bytes32) {
        return ReceiptLib.toDigest(ReceiptLib.domainSeparator(block.chainid, workerRegistry), structHash);
    }
}
