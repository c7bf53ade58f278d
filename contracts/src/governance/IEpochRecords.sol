// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EpochRecord} from "./EpochRecordLib.sol";
import {ICommittee} from "./ICommittee.sol";

interface IEpochRecordsTypes {
    /// @notice What a contract needs of the last record.
    /// @param epoch With `exists` false there is no record yet, and all else is zero.
    /// @param stake Of all workers in the directory.
    struct LastRecord {
        bool exists;
        uint64 epoch;
        uint64 blockNumber;
        uint128 stake;
        bytes32 directoryRoot;
        bytes32 digest;
    }
}

interface IEpochRecordsErrors {
    error EpochRecordsWithoutCode(address account);

    /// Posting
    error EpochRecordsNotNewer(uint64 epoch, uint64 last);
    error EpochRecordsNotOver(uint64 epoch, uint256 endsAt, uint256 timestamp);
    error EpochRecordsTooLate(uint64 epoch, uint256 nextEndsAt, uint256 timestamp);
    error EpochRecordsAttemptAhead(uint32 attempt, uint256 newest);
    error EpochRecordsBlockAhead(uint64 blockNumber, uint256 newest);
    error EpochRecordsBlockMismatch(uint64 blockNumber, bytes32 known, bytes32 given);
    error EpochRecordsNotSigned(bytes32 digest);
}

interface IEpochRecordsEvents {
    /// @param digest What the members signed.
    event EpochRecorded(uint64 indexed epoch, bytes32 digest, EpochRecord record);
    event ChallengeAppSet(bytes32 app);
}

/// @title IEpochRecords
/// @notice One record an epoch: the first that the committee of now signed, before the next epoch is over. Epochs may be
/// left out, and never come back.
interface IEpochRecords is IEpochRecordsTypes, IEpochRecordsErrors, IEpochRecordsEvents {
    /// @notice Posts an epoch's record. Anyone, with the members' signatures, once the epoch is over and until the next one is.
    /// @param proof Of the committee (form of {ICommittee.verify}) over the record's EIP-712 digest.
    /// @dev The block's hash is compared as far as the chain still knows it.
    function post(EpochRecord calldata record, bytes calldata proof) external;

    /// @notice Names the app that members' challenges to workers call; zero for none. Timelock only.
    function setChallengeApp(bytes32 app) external;

    function last() external view returns (LastRecord memory);

    /// @notice The digest of an epoch's record, zero where there is none.
    function digestOf(uint64 epoch) external view returns (bytes32);

    /// @notice What members sign: EIP-712 of the network's records.
    function recordDigest(EpochRecord calldata record) external view returns (bytes32);
    function challengeApp() external view returns (bytes32);
    function committee() external view returns (ICommittee);

    /// @notice The registry whose clock counts epochs, and whose address stands in the records' domain.
    function workerRegistry() external view returns (address);
    function genesis() external view returns (uint64);
    function epochLength() external view returns (uint32);

    /// @notice Seconds of one attempt.
    function ATTEMPT_SECONDS() external view returns (uint256);
}
