// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IWorkerRegistry} from "../IWorkerRegistry.sol";
import {BlockHashes} from "../libraries/BlockHashes.sol";
import {ReceiptLib} from "../receipts/ReceiptLib.sol";
import {EpochRecord, EpochRecordLib} from "./EpochRecordLib.sol";
import {Governed} from "./Governed.sol";
import {ICommittee} from "./ICommittee.sol";
import {IEpochRecords} from "./IEpochRecords.sol";

/// @title EpochRecords
contract EpochRecords is IEpochRecords, Governed {
    struct Last {
        // ### 1st slot
        bool exists;
        uint40 epoch;
        uint64 blockNumber;
        uint128 stake;
        // ### 2nd slot
        bytes32 directoryRoot;
    }

    /// @inheritdoc IEpochRecords
    uint256 public constant ATTEMPT_SECONDS = 60;

    /// @inheritdoc IEpochRecords
    ICommittee public immutable committee;

    /// @inheritdoc IEpochRecords
    address public immutable workerRegistry;

    /// @inheritdoc IEpochRecords
    uint64 public immutable genesis;

    /// @inheritdoc IEpochRecords
    uint32 public immutable epochLength;

    bytes32 private immutable _domainSeparator;

    /// @inheritdoc IEpochRecords
    bytes32 public challengeApp;

    /// @inheritdoc IEpochRecords
    mapping(uint64 epoch => bytes32) public digestOf;

    Last private _last;

    constructor(address timelock_, ICommittee committee_, IWorkerRegistry workerRegistry_) Governed(timelock_) {
        if (address(committee_).code.length == 0) revert EpochRecordsWithoutCode(address(committee_));
        if (address(workerRegistry_).code.length == 0) revert EpochRecordsWithoutCode(address(workerRegistry_));
        committee = committee_;
        workerRegistry = address(workerRegistry_);
        genesis = workerRegistry_.genesis();
        epochLength = workerRegistry_.epochLength();
        _domainSeparator = ReceiptLib.domainSeparator(block.chainid, address(workerRegistry_));
    }

    /// @inheritdoc IEpochRecords
    function post(EpochRecord calldata record, bytes calldata proof) external {
        if (_last.exists && record.epoch <= _last.epoch) revert EpochRecordsNotNewer(record.epoch, _last.epoch);
        _checkTime(record.epoch, record.attempt);
        _checkBlock(record.blockNumber, record.blockHash);
        bytes32 digest = recordDigest(record);
        if (!committee.verify(digest, proof)) revert EpochRecordsNotSigned(digest);

        digestOf[record.epoch] = digest;
        _last = Last({
            exists: true,
            // No truncation: the epoch is over, and epochs are at least a second long.
            epoch: uint40(record.epoch),
            blockNumber: record.blockNumber,
            stake: record.stake,
            directoryRoot: record.directoryRoot
        });
        emit EpochRecorded(record.epoch, digest, record);
    }

    /// @inheritdoc IEpochRecords
    function setChallengeApp(bytes32 app) external onlyTimelock {
        challengeApp = app;
        emit ChallengeAppSet(app);
    }

    /// @inheritdoc IEpochRecords
    function last() external view returns (LastRecord memory) {
        Last memory kept = _last;
        return LastRecord({
            exists: kept.exists,
            epoch: kept.epoch,
            blockNumber: kept.blockNumber,
            stake: kept.stake,
            directoryRoot: kept.directoryRoot,
            digest: kept.exists ? digestOf[kept.epoch] : bytes32(0)
        });
    }

    /// @inheritdoc IEpochRecords
    function recordDigest(EpochRecord calldata record) public view returns (bytes32) {
        return EpochRecordLib.digest(record, _domainSeparator);
    }

    function _checkTime(uint64 epoch, uint32 attempt) private view {
        // No overflow: 64 bits and 32 bits in 256.
        uint256 endsAt = genesis + (uint256(epoch) + 1) * epochLength;
        if (block.timestamp < endsAt) revert EpochRecordsNotOver(epoch, endsAt, block.timestamp);
        // The next epoch's record is computed as of its end, whether this one has a record by then or not: its emission
        // hangs on that. So the answer must stand fast from then on.
        uint256 nextEndsAt = endsAt + epochLength;
        if (block.timestamp >= nextEndsAt) revert EpochRecordsTooLate(epoch, nextEndsAt, block.timestamp);
        uint256 newest = (block.timestamp - endsAt) / ATTEMPT_SECONDS;
        if (attempt > newest) revert EpochRecordsAttemptAhead(attempt, newest);
    }

    function _checkBlock(uint64 blockNumber, bytes32 blockHash) private view {
        if (blockNumber >= block.number) revert EpochRecordsBlockAhead(blockNumber, block.number - 1);
        bytes32 known = BlockHashes.tryGet(blockNumber);
        if (known != 0 && known != blockHash) revert EpochRecordsBlockMismatch(blockNumber, known, blockHash);
    }
}
