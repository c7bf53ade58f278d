// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {EpochRecord} from "../governance/EpochRecordLib.sol";
import {IEpochRecords} from "../governance/IEpochRecords.sol";
import {MerkleTree} from "../libraries/MerkleTree.sol";
import {IWorkMeter} from "./IWorkMeter.sol";
import {IWorkerBonds} from "./IWorkerBonds.sol";

/// @title WorkMeter
contract WorkMeter is IWorkMeter {
    uint256 private constant WHOLE_AVAILABILITY = 1_000_000;

    /// @inheritdoc IWorkMeter
    uint64 public constant MAX_AGE = 24;

    /// @inheritdoc IWorkMeter
    IEpochRecords public immutable records;

    /// @inheritdoc IWorkMeter
    IWorkerBonds public immutable workerBonds;

    constructor(IEpochRecords records_, IWorkerBonds workerBonds_) {
        if (address(records_).code.length == 0) revert WorkMeterWithoutCode(address(records_));
        if (address(workerBonds_).code.length == 0) revert WorkMeterWithoutCode(address(workerBonds_));
        records = records_;
        workerBonds = workerBonds_;
    }

    /// @inheritdoc IWorkMeter
    function show(
        EpochRecord calldata record,
        MeasuredWorker calldata measured,
        bytes32[] calldata proof
    ) external returns (uint128 steps) {
        address operator = workerBonds.registry().statusOf(measured.workerId).operator;
        if (msg.sender != operator) revert WorkMeterCallerNotOperator(msg.sender, operator);
        (bytes32 known, bytes32 given) = (records.digestOf(record.epoch), records.recordDigest(record));
        if (known != given) revert WorkMeterRecordMismatch(record.epoch, known, given);
        uint64 last = records.last().epoch;
        // No underflow: the record was posted, so it is not newer than the last one.
        if (last - record.epoch > MAX_AGE) revert WorkMeterRecordTooOld(record.epoch, last, MAX_AGE);
        bytes32 leaf = keccak256(
            abi.encode(
                "cloister/measured: v1",
                measured.workerId,
                measured.measuredBy,
                measured.availability,
                measured.latencyMs,
                measured.work
            )
        );
        if (!MerkleTree.holds(record.measurementsRoot, leaf, proof)) {
            revert WorkMeterNotInRoot(record.epoch, measured.workerId);
        }
        uint256 done = uint256(measured.work) * measured.availability / WHOLE_AVAILABILITY;
        // No truncation: at most MAX_MEASURED, 128 bits.
        steps = uint128(Math.min(done, workerBonds.MAX_MEASURED()));
        workerBonds.setMeasured(measured.workerId, steps);
    }
}
