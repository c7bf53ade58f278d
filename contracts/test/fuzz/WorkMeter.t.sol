// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IWorkerRegistry, IWorkerRegistryTypes} from "../../src/IWorkerRegistry.sol";
import {EpochRecord} from "../../src/governance/EpochRecordLib.sol";
import {IEpochRecords, IEpochRecordsTypes} from "../../src/governance/IEpochRecords.sol";
import {IStakePoolsTypes} from "../../src/staking/IStakePools.sol";
import {IWorkMeterTypes} from "../../src/staking/IWorkMeter.sol";
import {StakePools} from "../../src/staking/StakePools.sol";
import {WorkMeter} from "../../src/staking/WorkMeter.sol";
import {WorkerBonds} from "../../src/staking/WorkerBonds.sol";
import {PhaTokenHarness} from "../harness/PhaTokenHarness.sol";
import {bound, vm} from "./Vm.sol";

/// @notice Three workers of three operators in records of many epochs, shown in random order by the right and by the wrong
/// ones. This contract is the timelock, the registry (worker i is operator i's) and the records.
contract WorkMeterFuzzTest {
    uint256 private constant WORKERS = 3;
    uint256 private constant MAX_MEASURED = 1e18;

    WorkMeter private _meter;
    WorkerBonds private _bonds;
    mapping(uint64 epoch => bytes32) public digestOf;
    uint64 private _last;

    /// @dev Counted beside the contract.
    mapping(uint256 epoch => IWorkMeterTypes.MeasuredWorker[WORKERS]) private _says;
    uint256[WORKERS] private _measured;

    function setUp() external {
        PhaTokenHarness token = new PhaTokenHarness(new address[](0), new uint256[](0));
        StakePools pools = new StakePools(
            IStakePoolsTypes.StakePoolsSettings({
                timelock: address(this),
                token: token,
                earningsTime: 1 hours,
                unbonding: 7 days,
                maxPause: 10 days
            })
        );
        _bonds = new WorkerBonds(address(this), pools, IWorkerRegistry(address(this)), 10e18, 100e18);
        _meter = new WorkMeter(IEpochRecords(address(this)), _bonds);
        _bonds.setMeasurer(address(_meter));
    }

    /* THE REGISTRY AND THE RECORDS */

    function statusOf(bytes32 workerId) external pure returns (IWorkerRegistryTypes.WorkerStatus memory status) {
        status.operator = _operator(uint256(workerId) - 1);
    }

    function recordDigest(EpochRecord calldata record) external pure returns (bytes32) {
        return keccak256(abi.encode(record));
    }

    function last() external view returns (IEpochRecordsTypes.LastRecord memory last_) {
        last_.exists = true;
        last_.epoch = _last;
    }

    /* PROPERTIES */

    /// @notice A worker's measured work is what the record that its operator showed last says, times availability, rounded down
    /// and cut at the most that bonds take; whatever else is tried changes nothing.
    function testFuzz_anyOrder(uint256[24] calldata seeds) external {
        for (uint256 i = 0; i < seeds.length; ++i) {
            uint256 value = seeds[i] >> 8;
            if (seeds[i] % 3 == 0) _record(value);
            else _show(value % (_last + 1), (value >> 16) % WORKERS, value >> 32);
            for (uint256 j = 0; j < WORKERS; ++j) assert(_bonds.statusOf(bytes32(j + 1)).measured == _measured[j]);
        }
    }

    /// @notice Nothing but the leaf itself, in the record itself, by the operator itself.
    function testFuzz_nothingElse(uint256 seed, uint256 lie, uint256 by) external {
        _record(seed);
        uint256 worker = seed % WORKERS;
        IWorkMeterTypes.MeasuredWorker memory measured = _says[_last][worker];
        EpochRecord memory record = _recordOf(_last);
        bytes32[] memory proof = _proofOf(_last, worker);
        address operator = _operator(worker);
        uint256 kind = lie % 9;
        uint256 change = 1 + (lie >> 8) % 1_000;
        if (kind == 0) measured.measuredBy ^= uint32(change);
        if (kind == 1) measured.availability ^= uint32(change);
        if (kind == 2) measured.latencyMs ^= uint64(change);
        if (kind == 3) measured.work ^= uint128(change);
        if (kind == 4) proof[change % proof.length] ^= bytes32(change);
        if (kind == 5) record.measurementsRoot ^= bytes32(change);
        if (kind == 6) record.epoch += uint64(change);
        if (kind == 7) operator = address(uint160(bound(by, 1, type(uint160).max)));
        // Another worker's leaf under one's own name.
        uint256 other = (worker + 1) % WORKERS;
        if (kind == 8) (measured.workerId, operator) = (bytes32(other + 1), _operator(other));
        bool isTrue = kind == 7 && operator == _operator(worker);
        assert(_try(record, measured, proof, operator) == isTrue);
        for (uint256 j = 0; j < WORKERS && !isTrue; ++j) assert(_bonds.statusOf(bytes32(j + 1)).measured == 0);
    }

    /* STEPS */

    function _record(uint256 seed) private {
        _last += uint64(1 + seed % 5);
        for (uint256 i = 0; i < WORKERS; ++i) {
            uint256 value = uint256(keccak256(abi.encode(seed, i)));
            _says[_last][i] = IWorkMeterTypes.MeasuredWorker({
                workerId: bytes32(i + 1),
                measuredBy: uint32(value),
                availability: value % 4 == 0 ? uint32(value >> 32) : uint32(bound(value >> 32, 0, 1_000_000)),
                latencyMs: uint64(value >> 64),
                // Some of any size, most of what bonds take.
                work: value % 8 == 0 ? uint128(value >> 128) : uint128(bound(value >> 128, 0, 2e12))
            });
        }
        digestOf[_last] = keccak256(abi.encode(_recordOf(_last)));
    }

    function _show(uint256 epoch, uint256 worker, uint256 who) private {
        address caller = who % 4 == 0 ? _operator((who >> 2) % (WORKERS + 1)) : _operator(worker);
        IWorkMeterTypes.MeasuredWorker memory measured = _says[epoch][worker];
        bool isRecorded = digestOf[uint64(epoch)] != 0;
        // What no record says: it is told of a worker all the same.
        measured.workerId = bytes32(worker + 1);
        bool should = isRecorded && caller == _operator(worker) && _last - epoch <= 24;
        assert(_try(_recordOf(epoch), measured, _proofOf(epoch, worker), caller) == should);
        if (!should) return;
        uint256 steps = uint256(measured.work) * measured.availability / 1e6;
        _measured[worker] = steps > MAX_MEASURED ? MAX_MEASURED : steps;
    }

    /* HELPERS */

    function _try(
        EpochRecord memory record,
        IWorkMeterTypes.MeasuredWorker memory measured,
        bytes32[] memory proof,
        address caller
    ) private returns (bool went) {
        vm.prank(caller);
        (went,) = address(_meter).call(abi.encodeCall(WorkMeter.show, (record, measured, proof)));
    }

    function _recordOf(uint256 epoch) private view returns (EpochRecord memory record) {
        record.epoch = uint64(epoch);
        record.measurementsRoot = _node(_node(_leaf(epoch, 0), _leaf(epoch, 1)), _leaf(epoch, 2));
    }

    function _proofOf(uint256 epoch, uint256 worker) private view returns (bytes32[] memory proof) {
        proof = new bytes32[](worker == 2 ? 1 : 2);
        if (worker == 2) proof[0] = _node(_leaf(epoch, 0), _leaf(epoch, 1));
        else (proof[0], proof[1]) = (_leaf(epoch, 1 - worker), _leaf(epoch, 2));
    }

    function _leaf(uint256 epoch, uint256 worker) private view returns (bytes32) {
        IWorkMeterTypes.MeasuredWorker memory one = _says[epoch][worker];
        return keccak256(
            abi.encode("cloister/measured: v1", one.workerId, one.measuredBy, one.availability, one.latencyMs, one.work)
        );
    }

    function _node(bytes32 one, bytes32 other) private pure returns (bytes32) {
        (bytes32 low, bytes32 high) = one < other ? (one, other) : (other, one);
        return keccak256(abi.encodePacked(bytes1(0x01), low, high));
    }

    function _operator(uint256 index) private pure returns (address) {
        return address(uint160(0xa000 + index));
    }
}
