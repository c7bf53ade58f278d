// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {Governed} from "../governance/Governed.sol";
import {IWorkerRegistry} from "../IWorkerRegistry.sol";
import {IStakePools} from "./IStakePools.sol";
import {IWorkerBonds} from "./IWorkerBonds.sol";

/// @title WorkerBonds
contract WorkerBonds is IWorkerBonds, Governed {
    struct Worker {
        // ### 1st slot
        address pool;
        BondState state;
        uint40 freeAt;
        // ### 2nd slot
        uint128 bond;
        uint128 measured;
        // ### 3rd and 4th slot
        bytes32 older;
        bytes32 newer;
    }

    struct Running {
        // ### 1st slot
        uint128 bonds;
        uint128 count;
        // ### 2nd slot
        bytes32 newest;
    }

    uint256 private constant BPS = 10_000;
    /// @dev The root is taken with 18 decimals.
    uint256 private constant ROOT_SCALE = 1e18;

    /// @inheritdoc IWorkerBonds
    uint256 public constant MAX_WORKERS = 200;

    /// @inheritdoc IWorkerBonds
    uint256 public constant MAX_STOPS = 20;

    /// @inheritdoc IWorkerBonds
    uint128 public constant MAX_K = 10_000e18;

    /// @inheritdoc IWorkerBonds
    uint128 public constant MAX_MINIMUM_BOND = 1_000_000e18;

    /// @inheritdoc IWorkerBonds
    uint128 public constant MAX_MEASURED = 1e18;

    /// @inheritdoc IWorkerBonds
    IStakePools public immutable pools;

    uint40 private immutable _unbonding;

    /// @inheritdoc IWorkerBonds
    IWorkerRegistry public registry;

    /// @inheritdoc IWorkerBonds
    address public measurer;

    /// @inheritdoc IWorkerBonds
    address public slashing;

    /// @inheritdoc IWorkerBonds
    uint128 public k;

    /// @inheritdoc IWorkerBonds
    uint128 public minimumBond;

    mapping(bytes32 workerId => Worker) private _workers;
    mapping(address pool => Running) private _running;

    constructor(
        address timelock_,
        IStakePools pools_,
        IWorkerRegistry registry_,
        uint128 k_,
        uint128 minimumBond_
    ) Governed(timelock_) {
        if (address(pools_).code.length == 0) revert WorkerBondsWithoutCode(address(pools_));
        pools = pools_;
        _unbonding = pools_.unbonding();
        _setRegistry(registry_);
        _setBondRule(k_, minimumBond_);
    }

    /* WORKERS */

    /// @inheritdoc IWorkerBonds
    function start(bytes32 workerId) external {
        address operator = registry.statusOf(workerId).operator;
        if (msg.sender != operator) revert WorkerBondsCallerNotOperator(msg.sender, operator);
        Worker storage worker = _workers[workerId];
        if (worker.state == BondState.Stopping && block.timestamp >= worker.freeAt) _free(workerId, worker);
        if (worker.state != BondState.None) revert WorkerBondsNotFree(workerId, worker.state, worker.freeAt);
        Running storage running = _running[msg.sender];
        if (running.count == MAX_WORKERS) revert WorkerBondsFull(msg.sender, MAX_WORKERS);

        uint128 bond = bondFor(worker.measured);
        worker.pool = msg.sender;
        worker.state = BondState.Running;
        worker.bond = bond;
        bytes32 older = running.newest;
        worker.older = older;
        if (older != 0) _workers[older].newer = workerId;
        running.newest = workerId;
        running.bonds += bond;
        ++running.count;
        emit WorkerStarted(workerId, msg.sender, bond);
        pools.reserve(msg.sender, bond);
    }

    /// @inheritdoc IWorkerBonds
    function stop(bytes32 workerId) external {
        Worker storage worker = _runningAt(workerId);
        if (msg.sender != worker.pool) revert WorkerBondsCallerNotOperator(msg.sender, worker.pool);
        _stop(workerId, worker);
    }

    /// @inheritdoc IWorkerBonds
    function refresh(bytes32 workerId) external {
        Worker storage worker = _runningAt(workerId);
        uint128 required = bondFor(worker.measured);
        uint128 bond = worker.bond;
        if (required <= bond) revert WorkerBondsBondSuffices(workerId, bond);
        uint128 missing = required - bond;
        address pool = worker.pool;
        // Only this worker lacks something: to stop another one would cover it no sooner than that one's bond comes free.
        if (!pools.canReserve(pool, missing)) return _stop(workerId, worker);
        worker.bond = required;
        _running[pool].bonds += missing;
        emit BondRaised(workerId, pool, required);
        pools.reserve(pool, missing);
    }

    /// @inheritdoc IWorkerBonds
    function release(bytes32 workerId) external {
        Worker storage worker = _workers[workerId];
        if (worker.state != BondState.Stopping || block.timestamp < worker.freeAt) {
            revert WorkerBondsNotFree(workerId, worker.state, worker.freeAt);
        }
        _free(workerId, worker);
    }

    /// @inheritdoc IWorkerBonds
    function stopUncovered(address pool) external returns (uint256 stopped) {
        return _stopAbove(pool, pools.coverOf(pool));
    }

    /// @inheritdoc IWorkerBonds
    function forceStop(address pool, uint256 requestId) external returns (uint256 stopped) {
        uint256 overdueAt = uint256(pools.requestOf(pool, requestId).requestedAt) + _unbonding;
        if (block.timestamp < overdueAt) {
            revert WorkerBondsNotOverdue(pool, requestId, overdueAt, block.timestamp);
        }
        return _stopAbove(pool, pools.coverBehind(pool, requestId));
    }

    /// @inheritdoc IWorkerBonds
    function setMeasured(bytes32 workerId, uint128 measured) external {
        if (msg.sender != measurer) revert WorkerBondsCallerNotMeasurer(msg.sender, measurer);
        if (measured > MAX_MEASURED) revert WorkerBondsMeasureOutOfRange(measured, MAX_MEASURED);
        _workers[workerId].measured = measured;
        emit WorkerMeasured(workerId, measured);
    }

    /* SLASHING */

    /// @inheritdoc IWorkerBonds
    function seize(
        bytes32 workerId,
        uint256 bps
    ) external returns (address pool, uint256 seizureId, uint256 moved) {
        if (msg.sender != slashing) revert WorkerBondsCallerNotSlashing(msg.sender, slashing);
        if (bps == 0 || bps > BPS) revert WorkerBondsShareOutOfRange(bps);
        uint256 atStake = bondOf(workerId);
        if (atStake == 0) revert WorkerBondsNothingAtStake(workerId);
        Worker storage worker = _workers[workerId];
        pool = worker.pool;
        // No truncation: at most the bond.
        uint128 amount = uint128(Math.mulDiv(atStake, bps, BPS, Math.Rounding.Ceil));
        uint128 left = worker.bond - amount;
        worker.bond = left;
        if (worker.state == BondState.Running) {
            _running[pool].bonds -= amount;
            if (left == 0) _stop(workerId, worker);
        }
        (seizureId, moved) = pools.seize(pool, amount, msg.sender);
        emit BondSeized(workerId, pool, seizureId, moved, left);
    }

    /* GOVERNANCE */

    /// @inheritdoc IWorkerBonds
    function setRegistry(IWorkerRegistry registry_) external onlyTimelock {
        _setRegistry(registry_);
    }

    /// @inheritdoc IWorkerBonds
    function setMeasurer(address measurer_) external onlyTimelock {
        measurer = measurer_;
        emit MeasurerSet(measurer_);
    }

    /// @inheritdoc IWorkerBonds
    function setBondRule(uint128 k_, uint128 minimumBond_) external onlyTimelock {
        _setBondRule(k_, minimumBond_);
    }

    /// @inheritdoc IWorkerBonds
    function setSlashing(address slashing_) external onlyTimelock {
        if (slashing != address(0)) revert WorkerBondsSlashingSet(slashing);
        if (slashing_.code.length == 0) revert WorkerBondsWithoutCode(slashing_);
        slashing = slashing_;
        emit SlashingSet(slashing_);
    }

    /* VIEWS */

    /// @inheritdoc IWorkerBonds
    function bondOf(bytes32 workerId) public view returns (uint256) {
        Worker storage worker = _workers[workerId];
        bool free = worker.state == BondState.Stopping && block.timestamp >= worker.freeAt;
        return free ? 0 : worker.bond;
    }

    /// @inheritdoc IWorkerBonds
    function isRunning(bytes32 workerId) external view returns (bool) {
        return _workers[workerId].state == BondState.Running;
    }

    /// @inheritdoc IWorkerBonds
    function statusOf(bytes32 workerId) external view returns (BondStatus memory) {
        Worker storage worker = _workers[workerId];
        return BondStatus({
            pool: worker.pool,
            state: worker.state,
            freeAt: worker.freeAt,
            bond: uint128(bondOf(workerId)),
            measured: worker.measured,
            older: worker.older,
            newer: worker.newer
        });
    }

    /// @inheritdoc IWorkerBonds
    function requiredBond(bytes32 workerId) external view returns (uint128) {
        return bondFor(_workers[workerId].measured);
    }

    /// @inheritdoc IWorkerBonds
    function bondFor(uint128 measured) public view returns (uint128) {
        if (measured > MAX_MEASURED) revert WorkerBondsMeasureOutOfRange(measured, MAX_MEASURED);
        // No overflow: at most 1e54.
        uint256 root = Math.sqrt(uint256(measured) * ROOT_SCALE * ROOT_SCALE, Math.Rounding.Ceil);
        uint256 bond = Math.mulDiv(k, root, ROOT_SCALE, Math.Rounding.Ceil);
        // No truncation: at most MAX_K times the root of MAX_MEASURED, 1e31.
        return uint128(Math.max(bond, minimumBond));
    }

    /// @inheritdoc IWorkerBonds
    function runningOf(address pool) external view returns (uint256 count, uint128 bonds, bytes32 newest) {
        Running storage running = _running[pool];
        return (running.count, running.bonds, running.newest);
    }

    /* STATE */

    function _setRegistry(IWorkerRegistry registry_) private {
        if (address(registry_).code.length == 0) revert WorkerBondsWithoutCode(address(registry_));
        registry = registry_;
        emit RegistrySet(registry_);
    }

    function _setBondRule(uint128 k_, uint128 minimumBond_) private {
        if (k_ > MAX_K) revert WorkerBondsRuleOutOfRange(k_, 0, MAX_K);
        if (minimumBond_ == 0 || minimumBond_ > MAX_MINIMUM_BOND) {
            revert WorkerBondsRuleOutOfRange(minimumBond_, 1, MAX_MINIMUM_BOND);
        }
        k = k_;
        minimumBond = minimumBond_;
        emit BondRuleSet(k_, minimumBond_);
    }

    function _runningAt(bytes32 workerId) private view returns (Worker storage worker) {
        worker = _workers[workerId];
        if (worker.state != BondState.Running) revert WorkerBondsNotRunning(workerId, worker.state);
    }

    /// @dev What stopped before still needs cover until it is free; that passes by itself.
    function _stopAbove(address pool, uint256 cover) private returns (uint256 stopped) {
        Running storage running = _running[pool];
        if (running.bonds <= cover) revert WorkerBondsCovered(pool, running.bonds, cover);
        for (; stopped < MAX_STOPS && running.bonds > cover; ++stopped) {
            bytes32 newest = running.newest;
            _stop(newest, _workers[newest]);
        }
    }

    function _stop(bytes32 workerId, Worker storage worker) private {
        address pool = worker.pool;
        Running storage running = _running[pool];
        (bytes32 older, bytes32 newer) = (worker.older, worker.newer);
        if (older != 0) _workers[older].newer = newer;
        if (newer != 0) _workers[newer].older = older;
        else running.newest = older;
        running.bonds -= worker.bond;
        --running.count;
        uint40 freeAt = uint40(block.timestamp) + _unbonding;
        worker.state = BondState.Stopping;
        worker.freeAt = freeAt;
        (worker.older, worker.newer) = (0, 0);
        emit WorkerStopped(workerId, pool, freeAt);
    }

    function _free(bytes32 workerId, Worker storage worker) private {
        (address pool, uint128 bond) = (worker.pool, worker.bond);
        worker.pool = address(0);
        worker.state = BondState.None;
        worker.freeAt = 0;
        worker.bond = 0;
        emit BondReleased(workerId, pool, bond);
        pools.release(pool, bond);
    }
}
