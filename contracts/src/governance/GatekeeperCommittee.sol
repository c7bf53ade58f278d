// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CodeBlob} from "../libraries/CodeBlob.sol";
import {CommitteeProof} from "../libraries/CommitteeProof.sol";
import {Ids} from "../libraries/Ids.sol";
import {ReceiptLib} from "../receipts/ReceiptLib.sol";
import {GatekeeperMembers} from "./GatekeeperMembers.sol";
import {GatekeeperState} from "./GatekeeperState.sol";
import {ICommittee} from "./ICommittee.sol";
import {IGatekeeperCommittee} from "./IGatekeeperCommittee.sol";

/// @title GatekeeperCommittee
/// @dev The members and their handovers.
contract GatekeeperCommittee is GatekeeperMembers {
    /// @dev Members in their order.
    struct Roll {
        address[] operators;
        address[] signers;
        bytes32[] hpkeKeys;
    }

    bytes32 private constant HANDOVER_TYPEHASH = keccak256(
        "Handover(uint64 generation,uint8 threshold,bytes32 membersHash,uint32 dealers,bytes32 transcriptHash,bytes32 publicSharesHash,bytes32 networkKeysHash)"
    );
    uint256 private constant PUBLIC_KEY_LENGTH = 48;

    constructor(CommitteeSettings memory settings) GatekeeperState(settings) {}

    /// @inheritdoc IGatekeeperCommittee
    function handOver(
        HandoverRecord calldata record,
        bytes calldata previousProof,
        bytes calldata heldProof
    ) external {
        if (record.generation != _current.number + 1) {
            revert GatekeeperCommitteeGenerationMismatch(_current.number + 1, record.generation);
        }
        Roll memory roll = _nextRoll();
        _checkMembers(record, roll);
        bytes32 keysHash = _checkKeys(record);
        bytes32 digest = _digestOf(record, keysHash);
        if (_current.number == 0) {
            _checkDealers(record.dealers, roll.operators.length, record.threshold);
            _found(record, roll.operators, keysHash);
        } else {
            _checkPrevious(record.dealers, digest, previousProof);
        }
        _takeUp(record, roll, digest, heldProof);
    }

    /// @inheritdoc IGatekeeperCommittee
    function setThreshold(uint8 threshold) external onlyTimelock {
        if (threshold == 0 || threshold > MAX_MEMBERS) {
            revert GatekeeperCommitteeThresholdOutOfRange(threshold, MAX_MEMBERS);
        }
        nextThreshold = threshold;
        emit ThresholdSet(threshold);
    }

    /// @inheritdoc ICommittee
    function verify(bytes32 digest, bytes calldata proof) external view returns (bool) {
        address roll = _current.roll;
        uint8 threshold = _current.threshold;
        return threshold != 0 && CommitteeProof.holds(digest, proof, CodeBlob.read(roll), threshold);
    }

    /// @inheritdoc IGatekeeperCommittee
    function generation() external view returns (GenerationStatus memory) {
        Current memory current = _current;
        return GenerationStatus({
            number: current.number,
            since: current.since,
            threshold: current.threshold,
            digest: current.digest,
            publicSharesHash: current.publicSharesHash
        });
    }

    /// @inheritdoc IGatekeeperCommittee
    function members()
        external
        view
        returns (address[] memory operators, address[] memory signers, bytes32[] memory hpkeKeys)
    {
        bytes memory roll = CodeBlob.read(_current.roll);
        uint256 count = roll.length / 96;
        operators = new address[](count);
        signers = new address[](count);
        hpkeKeys = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            signers[i] = address(uint160(uint256(CommitteeProof.wordAt(roll, i))));
            operators[i] = address(uint160(uint256(CommitteeProof.wordAt(roll, count + i))));
            hpkeKeys[i] = CommitteeProof.wordAt(roll, 2 * count + i);
        }
    }

    /// @inheritdoc IGatekeeperCommittee
    function nextMembers()
        external
        view
        returns (
            address[] memory operators,
            address[] memory signers,
            bytes32[] memory hpkeKeys,
            uint8 threshold,
            uint256 eligibleCount
        )
    {
        Roll memory roll = _nextRoll();
        return (roll.operators, roll.signers, roll.hpkeKeys, nextThreshold, _eligible.length);
    }

    function _nextRoll() private view returns (Roll memory roll) {
        uint256 length = _eligible.length;
        roll = Roll(new address[](length), new address[](length), new bytes32[](length));
        uint256 count;
        for (uint256 i = 0; i < length; ++i) {
            address operator = _eligible[i];
            Gatekeeper storage gatekeeper = _gatekeepers[operator];
            if (gatekeeper.leaseUntil <= block.timestamp || _bondOf(operator) < minimumBond) continue;
            roll.operators[count] = operator;
            roll.signers[count] = gatekeeper.signer;
            roll.hpkeKeys[count] = gatekeeper.hpkeKey;
            ++count;
        }
        (address[] memory operators, address[] memory signers, bytes32[] memory hpkeKeys) =
            (roll.operators, roll.signers, roll.hpkeKeys);
        assembly ("memory-safe") {
            mstore(operators, count)
            mstore(signers, count)
            mstore(hpkeKeys, count)
        }
    }

    function _digestOf(HandoverRecord calldata record, bytes32 keysHash) private view returns (bytes32) {
        return ReceiptLib.toDigest(
            _domainSeparator,
            keccak256(
                abi.encode(
                    HANDOVER_TYPEHASH,
                    record.generation,
                    record.threshold,
                    record.membersHash,
                    record.dealers,
                    record.transcriptHash,
                    record.publicSharesHash,
                    keysHash
                )
            )
        );
    }

    function _checkPrevious(uint32 dealers, bytes32 digest, bytes calldata previousProof) private view {
        bytes memory words = CodeBlob.read(_current.roll);
        _checkDealers(dealers, CommitteeProof.count(words), _current.threshold);
        if (!CommitteeProof.holds(digest, previousProof, words, _current.threshold)) {
            revert GatekeeperCommitteeNotSignedByMembers(digest);
        }
    }

    function _takeUp(
        HandoverRecord calldata record,
        Roll memory roll,
        bytes32 digest,
        bytes calldata heldProof
    ) private {
        // Signers first, each a padded word: what {verify} reads is found without parsing. Operators and keys follow.
        bytes memory words = abi.encodePacked(roll.signers, roll.operators, roll.hpkeKeys);
        if (!CommitteeProof.holds(digest, heldProof, words, record.threshold)) {
            revert GatekeeperCommitteeNotSignedByHolders(digest);
        }
        _current = Current({
            roll: CodeBlob.write(words),
            number: uint40(record.generation),
            since: uint40(block.timestamp),
            threshold: record.threshold,
            digest: digest,
            publicSharesHash: record.publicSharesHash
        });
        emit HandedOver(
            record.generation,
            record.threshold,
            roll.operators,
            roll.signers,
            roll.hpkeKeys,
            record.dealers,
            record.transcriptHash,
            record.publicSharesHash,
            digest
        );
    }

    function _checkMembers(HandoverRecord calldata record, Roll memory roll) private view {
        uint8 threshold = record.threshold;
        if (threshold != nextThreshold) revert GatekeeperCommitteeThresholdMismatch(nextThreshold, threshold);
        uint256 count = roll.operators.length;
        if (threshold == 0 || threshold > count || 2 * uint256(threshold) <= count) {
            revert GatekeeperCommitteeThresholdOutOfRange(threshold, count);
        }
        bytes32 membersHash = keccak256(abi.encode(roll.operators, roll.signers, roll.hpkeKeys));
        if (record.membersHash != membersHash) {
            revert GatekeeperCommitteeMembersMismatch(membersHash, record.membersHash);
        }
        if (diversityWaived) return;
        uint256[4] memory ofVendor;
        for (uint256 i = 0; i < count; ++i) {
            uint8 vendor = _vendorOf(_gatekeepers[roll.operators[i]].teeType);
            if (++ofVendor[vendor] >= threshold) {
                revert GatekeeperCommitteeVendorTooStrong(vendor, ofVendor[vendor], threshold);
            }
        }
    }

    /// @dev 1 Intel, 2 AMD, 3 AWS; 0 whoever has no name here.
    function _vendorOf(uint8 teeType) private pure returns (uint8) {
        if (teeType == Ids.TEE_SGX || teeType == Ids.TEE_TDX) return 1;
        if (teeType == Ids.TEE_SEV_SNP) return 2;
        return teeType == Ids.TEE_NITRO ? 3 : 0;
    }

    function _checkDealers(uint32 dealers, uint256 count, uint256 needed) private pure {
        uint256 dealing;
        for (uint256 i = 0; i < count; ++i) dealing += (dealers >> i) & 1;
        if (dealing < needed || uint256(dealers) >> count != 0) {
            revert GatekeeperCommitteeDealersInvalid(dealers, count, needed);
        }
    }

    function _checkKeys(HandoverRecord calldata record) private view returns (bytes32 keysHash) {
        _checkKey(record.appsPublicKey);
        _checkKey(record.beaconPublicKey);
        keysHash = keccak256(abi.encode(record.appsPublicKey, record.beaconPublicKey));
        bytes32 known = networkKeysHash;
        if (known != 0 && known != keysHash) revert GatekeeperCommitteeKeysChanged(known, keysHash);
    }

    /// @dev Only the form: compressed, and not the identity. Whether it is a point nothing here depends on.
    function _checkKey(bytes calldata publicKey) private pure {
        if (publicKey.length != PUBLIC_KEY_LENGTH || uint8(publicKey[0]) & 0xc0 != 0x80) {
            revert GatekeeperCommitteeKeyInvalid(publicKey);
        }
    }

    function _found(HandoverRecord calldata record, address[] memory operators, bytes32 keysHash) private {
        bytes32[] memory evidenceHashes = new bytes32[](operators.length);
        for (uint256 i = 0; i < operators.length; ++i) {
            evidenceHashes[i] = _gatekeepers[operators[i]].evidenceHash;
        }
        foundingHash = keccak256(abi.encode(record.transcriptHash, evidenceHashes));
        networkKeysHash = keysHash;
        appsPublicKey = record.appsPublicKey;
        beaconPublicKey = record.beaconPublicKey;
        emit KeysMade(record.appsPublicKey, record.beaconPublicKey, keysHash, foundingHash);
    }
}
