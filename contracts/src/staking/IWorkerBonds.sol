// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IWorkerRegistry} from "../IWorkerRegistry.sol";
import {IStakePools} from "./IStakePools.sol";

interface IWorkerBondsTypes {
    /// @notice None: never started, or its bond has come free. Running: earns by its bond. Stopping: stopped; its bond is
    /// still at stake until `freeAt`.
    enum BondState {
        None,
        Running,
        Stopping
    }

    /// @param pool Of the operator that started it.
    /// @param bond What can be lost now, in the smallest unit of PHA.
    /// @param freeAt Unix seconds; zero unless stopping.
    /// @param older, newer Its neighbours among the pool's running workers, by their starts.
    struct BondStatus {
        address pool;
        BondState state;
        uint40 freeAt;
        uint128 bond;
        uint128 measured;
        bytes32 older;
        bytes32 newer;
    }
}

interface IWorkerBondsErrors {
    /// Settings
    error WorkerBondsWithoutCode(address account);
    error WorkerBondsSlashingSet(address slashing);
    error WorkerBondsRuleOutOfRange(uint256 value, uint256 minimum, uint256 maximum);

    /// Caller
    error WorkerBondsCallerNotSlashing(address caller, address slashing);
    error WorkerBondsCallerNotMeasurer(address caller, address measurer);
    error WorkerBondsCallerNotOperator(address caller, address operator);

    /// Workers
    error WorkerBondsMeasureOutOfRange(uint256 measured, uint256 maximum);
    error WorkerBondsNotFree(bytes32 workerId, IWorkerBondsTypes.BondState state, uint40 freeAt);
    error WorkerBondsNotRunning(bytes32 workerId, IWorkerBondsTypes.BondState state);
    error WorkerBondsFull(address pool, uint256 maximum);
    error WorkerBondsBondSuffices(bytes32 workerId, uint256 bond);
    error WorkerBondsCovered(address pool, uint256 running, uint256 cover);
    error WorkerBondsNotOverdue(address pool, uint256 requestId, uint256 overdueAt, uint256 timestamp);
    error WorkerBondsNothingAtStake(bytes32 workerId);
    error WorkerBondsShareOutOfRange(uint256 bps);
}

interface IWorkerBondsEvents {
    event WorkerStarted(bytes32 indexed workerId, address indexed pool, uint128 bond);

    /// @notice A running worker's bond was raised to what its measured work asks for now.
    event BondRaised(bytes32 indexed workerId, address indexed pool, uint128 bond);

    /// @param freeAt Unix seconds; until then the bond can be slashed.
    event WorkerStopped(bytes32 indexed workerId, address indexed pool, uint40 freeAt);
    event BondReleased(bytes32 indexed workerId, address indexed pool, uint128 bond);

    /// @param left Of the bond.
    event BondSeized(
        bytes32 indexed workerId,
        address indexed pool,
        uint256 indexed seizureId,
        uint256 moved,
        uint128 left
    );
    event WorkerMeasured(bytes32 indexed workerId, uint128 measured);
    event RegistrySet(IWorkerRegistry registry);
    event MeasurerSet(address measurer);
    event BondRuleSet(uint128 k, uint128 minimumBond);
    event SlashingSet(address slashing);
}

/// @title IWorkerBonds
/// @notice Which workers run, and the part of its operator's pool that each of them puts at stake: k·√P, at least a
/// minimum, P being its measured work.
/// @dev A bond is at stake from the start of a worker to `unbonding` after it stopped, whoever stopped it.
interface IWorkerBonds is IWorkerBondsTypes, IWorkerBondsErrors, IWorkerBondsEvents {
    /* WORKERS */

    /// @notice Starts the caller's worker: reserves its bond in the caller's pool.
    function start(bytes32 workerId) external;

    /// @notice Stops it. The operator whose pool bears the bond.
    function stop(bytes32 workerId) external;

    /// @notice Raises a running worker's bond to {requiredBond}; stops the worker where the pool does not cover it. Anyone.
    /// @dev A bond falls only when a worker stops and starts anew.
    function refresh(bytes32 workerId) external;

    /// @notice Gives the bond of a stopped worker free. Anyone, once its time has passed.
    function release(bytes32 workerId) external;

    /// @notice Stops running workers that the pool no longer covers, newest first. Anyone.
    /// @return stopped At most MAX_STOPS; call again while it is that many.
    function stopUncovered(address pool) external returns (uint256 stopped);

    /// @notice Stops running workers that keep a request from being served which is older than `unbonding`, newest
    /// first. Anyone.
    /// @return stopped At most MAX_STOPS; call again while it is that many.
    function forceStop(address pool, uint256 requestId) external returns (uint256 stopped);

    /// @notice What a worker's work was measured to be, in units a second. The measurer.
    /// @dev Counts from the next {start} or {refresh}.
    function setMeasured(bytes32 workerId, uint128 measured) external;

    /* SLASHING */

    /// @notice Takes a share of what a worker has at stake, rounded up; the worker stops where nothing is left. Slashing
    /// only.
    /// @return pool Whose.
    /// @return seizureId In {StakePools}, held by the caller.
    /// @return moved To the caller.
    function seize(
        bytes32 workerId,
        uint256 bps
    ) external returns (address pool, uint256 seizureId, uint256 moved);

    /* GOVERNANCE: timelock only */

    /// @notice Whose workers these are.
    function setRegistry(IWorkerRegistry registry) external;

    /// @notice Who says what workers do; the zero address: nobody.
    function setMeasurer(address measurer) external;

    /// @notice k for P in units a second, and the bond of a worker that was never measured. Smallest units of PHA.
    /// @param k At most MAX_K.
    /// @param minimumBond 1 to MAX_MINIMUM_BOND.
    function setBondRule(uint128 k, uint128 minimumBond) external;

    /// @notice Names who seizes. Once, for ever.
    function setSlashing(address slashing) external;

    /* VIEWS */

    /// @notice What a worker can lose now.
    function bondOf(bytes32 workerId) external view returns (uint256);
    function isRunning(bytes32 workerId) external view returns (bool);
    function statusOf(bytes32 workerId) external view returns (BondStatus memory);

    /// @notice The bond of a worker that starts now, rounded up.
    function requiredBond(bytes32 workerId) external view returns (uint128);

    /// @notice k·√P rounded up, at least the minimum.
    function bondFor(uint128 measured) external view returns (uint128);

    /// @notice A pool's running workers, how many and their bonds, and the newest of them.
    function runningOf(address pool) external view returns (uint256 count, uint128 bonds, bytes32 newest);

    function pools() external view returns (IStakePools);
    function registry() external view returns (IWorkerRegistry);
    function measurer() external view returns (address);
    function slashing() external view returns (address);
    function k() external view returns (uint128);
    function minimumBond() external view returns (uint128);
    function MAX_WORKERS() external view returns (uint256);
    function MAX_STOPS() external view returns (uint256);
    function MAX_K() external view returns (uint128);
    function MAX_MINIMUM_BOND() external view returns (uint128);
    function MAX_MEASURED() external view returns (uint128);
}
