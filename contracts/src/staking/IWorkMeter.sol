// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EpochRecord} from "../governance/EpochRecordLib.sol";
import {IEpochRecords} from "../governance/IEpochRecords.sol";
import {IWorkerBonds} from "./IWorkerBonds.sol";

interface IWorkMeterTypes {
    /// @notice What a record says of a worker.
    /// @param measuredBy Members that asked it anything.
    /// @param availability Answered of asked, in millionths.
    /// @param latencyMs The median, in ms.
    /// @param work Steps of the challenge a second.
    struct MeasuredWorker {
        bytes32 workerId;
        uint32 measuredBy;
        uint32 availability;
        uint64 latencyMs;
        uint128 work;
    }
}

interface IWorkMeterErrors {
    error WorkMeterWithoutCode(address account);
    error WorkMeterCallerNotOperator(address caller, address operator);
    error WorkMeterRecordMismatch(uint64 epoch, bytes32 known, bytes32 given);
    error WorkMeterRecordTooOld(uint64 epoch, uint64 lastEpoch, uint64 maximumAge);
    error WorkMeterNotInRoot(uint64 epoch, bytes32 workerId);
}

/// @title IWorkMeter
/// @notice The measurer of {IWorkerBonds}: takes a worker's work from an epoch's record, shown by the worker's operator.
/// @dev Only the operator shows it: a bond that others could raise at any peak of its work would be stopped by them where
/// its pool does not cover that. Rewards count no work beyond what a bond covers, so who wants to earn more shows more.
interface IWorkMeter is IWorkMeterTypes, IWorkMeterErrors {
    /// @notice Sets a worker's measured work to what a record of the last MAX_AGE epochs says. Its operator.
    /// @dev Counts from the worker's next start or refresh.
    /// @param proof Of the leaf H("cloister/measured: v1", workerId, measuredBy, availability, latencyMs, work) in the record's
    /// measurements.
    /// @return steps A second, times availability, rounded down.
    function show(
        EpochRecord calldata record,
        MeasuredWorker calldata measured,
        bytes32[] calldata proof
    ) external returns (uint128 steps);

    function records() external view returns (IEpochRecords);
    function workerBonds() external view returns (IWorkerBonds);
    function MAX_AGE() external view returns (uint64);
}
