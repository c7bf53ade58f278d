// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

import {EarningsStream, Stream} from "./EarningsStream.sol";
import {ExitLane, Lane} from "./ExitLane.sol";
import {Governed} from "../governance/Governed.sol";
import {HolderHistory, PoolHistory, StakeVotes} from "./StakeVotes.sol";
import {IStakePools} from "./IStakePools.sol";
import {Ledger, ShareMath} from "./ShareMath.sol";

/// @title StakePoolState
/// @notice What is kept of pools, and what several of their parts ask of it.
abstract contract StakePoolState is IStakePools, Governed {
    using Checkpoints for Checkpoints.Trace208;
    using EarningsStream for Stream;
    using ExitLane for Lane;
    using ShareMath for Ledger;
    using StakeVotes for Checkpoints.Trace208;

    struct Pool {
        // ### 1st slot
        bool exists;
        bool closed;
        bool allowlistOn;
        uint16 commissionBps;
        uint16 nextCommissionBps;
        uint40 nextCommissionAt;
        uint16 openSeizures;
        uint40 pausedUntil;
        // ### 2nd slot
        uint128 capacity;
        uint128 reserved;
        // ### 3rd slot
        uint128 commission;
        // ### 4th slot
        Stream stream;
        // ### then
        Ledger staked;
        Lane[2] lanes;
        RedeemRequest[] requests;
    }

    uint256 internal constant BPS = 10_000;
    uint32 internal constant MIN_DURATION = 1 minutes;
    uint32 internal constant MAX_DURATION = 28 days;
    /// @dev After the longest time of a pause, before the next one.
    uint256 internal constant PAUSE_GAP = 2 days;
    /// @dev With less staked than one PHA earnings wait: who holds next to nothing, and all of the pool, could drive the
    /// price of shares up by them.
    uint256 internal constant MIN_EARNING_STAKE = 1e18;
    /// @dev What rounding may take from cover, a unit in each of four terms. It stops no worker, and a request that is kept by
    /// so little may have workers stopped.
    uint256 internal constant ROUNDING = 4;
    uint256 internal constant BACKERS = 0;
    uint256 internal constant OWN = 1;

    /// @inheritdoc IStakePools
    uint256 public constant MIN_DEPOSIT = 1e16;

    /// @inheritdoc IStakePools
    uint16 public constant MAX_COMMISSION_BPS = 5_000;

    /// @inheritdoc IStakePools
    uint16 public constant MAX_COMMISSION_STEP_BPS = 500;

    /// @inheritdoc IStakePools
    uint16 public constant MAX_OWN_STAKE_BPS = 5_000;

    /// @inheritdoc IStakePools
    IERC20 public immutable token;

    /// @inheritdoc IStakePools
    uint32 public immutable earningsTime;

    /// @inheritdoc IStakePools
    uint32 public immutable unbonding;

    /// @inheritdoc IStakePools
    uint32 public immutable maxPause;

    /// @inheritdoc IStakePools
    address public workerBonds;

    /// @inheritdoc IStakePools
    uint16 public ownStakeBps;

    /// @inheritdoc IStakePools
    uint256 public totalHeld;

    mapping(address operator => Pool) internal _pools;
    mapping(address pool => PoolHistory) internal _histories;
    mapping(address pool => mapping(address account => HolderHistory)) internal _holders;
    mapping(address pool => mapping(address account => bool)) internal _allowed;
    Seizure[] internal _seizures;

    constructor(StakePoolsSettings memory settings) Governed(settings.timelock) {
        if (address(settings.token).code.length == 0) revert StakePoolsWithoutCode(address(settings.token));
        _checkDuration(settings.earningsTime);
        _checkDuration(settings.unbonding);
        _checkDuration(settings.maxPause);
        token = settings.token;
        earningsTime = settings.earningsTime;
        unbonding = settings.unbonding;
        maxPause = settings.maxPause;
    }

    modifier onlyWorkerBonds() {
        if (msg.sender != workerBonds) revert StakePoolsCallerNotWorkerBonds(msg.sender, workerBonds);
        _;
    }

    /// @inheritdoc IStakePools
    function sharesOf(address pool, address account) public view returns (uint256) {
        return _holders[pool][account].shares.latest();
    }

    function _checkDuration(uint32 duration) internal pure {
        if (duration < MIN_DURATION || duration > MAX_DURATION) {
            revert StakePoolsDurationOutOfRange(duration, MIN_DURATION, MAX_DURATION);
        }
    }

    function _poolAt(address operator) internal view returns (Pool storage pool) {
        pool = _pools[operator];
        if (!pool.exists) revert StakePoolsPoolUnknown(operator);
    }

    function _openPoolAt(address operator) internal view returns (Pool storage pool) {
        pool = _poolAt(operator);
        if (pool.closed) revert StakePoolsClosed(operator);
    }

    function _checkNoSeizure(Pool storage p, address pool) internal view {
        if (p.openSeizures != 0) revert StakePoolsSeizureOpen(pool, p.openSeizures);
    }

    function _checkNotPaused(Pool storage p, address pool) internal view {
        if (_isPaused(p)) revert StakePoolsPaused(pool, p.pausedUntil);
    }

    function _isPaused(Pool storage p) internal view returns (bool) {
        return p.openSeizures != 0 && block.timestamp < p.pausedUntil;
    }

    function _laneOf(address pool, address account) internal pure returns (uint256) {
        return account == pool ? OWN : BACKERS;
    }

    /// @dev Staked and leaving.
    function _totalOf(Pool storage p, Ledger memory staked) internal view returns (uint256) {
        return uint256(staked.assets) + p.lanes[BACKERS].ledger.assets + p.lanes[OWN].ledger.assets;
    }

    /// @dev Rounded down.
    function _ownStaked(address pool, Ledger memory staked) internal view returns (uint256) {
        return staked.toAssetsDown(sharesOf(pool, pool));
    }

    /// @dev What the operator has at stake that it can't claim, rounded down.
    function _ownStake(Pool storage p, address pool, Ledger memory staked) internal view returns (uint256) {
        return Math.saturatingSub(
            _ownStaked(pool, staked) + p.lanes[OWN].ledger.assets, p.lanes[OWN].servedAssets()
        );
    }

    /// @dev What the operator must have at stake for so many bonds, rounded up.
    function _ownStakeFor(uint256 bonds) internal view returns (uint256) {
        return Math.ceilDiv(bonds * ownStakeBps, BPS);
    }

    /// @dev The bonds that so much of the operator's own suffices for, rounded down.
    function _bondsFor(uint256 own) internal view returns (uint256) {
        return ownStakeBps == 0 ? type(uint256).max : own * BPS / ownStakeBps;
    }

    function _earns(Pool storage p) internal view returns (bool) {
        return p.staked.assets >= MIN_EARNING_STAKE;
    }

    /// @dev With what has flowed in and is not written yet.
    function _stakedNow(Pool storage p) internal view returns (Ledger memory staked) {
        staked = p.staked;
        // No truncation: parts of PHA of this contract.
        staked.assets += uint128(_dueNow(p));
    }

    function _dueNow(Pool storage p) internal view returns (uint256) {
        return _earns(p) ? p.stream.due() : 0;
    }

    function _takeShares(address pool, address account, uint256 shares) internal {
        if (shares == 0) revert StakePoolsZeroAmount();
        uint256 has = sharesOf(pool, account);
        if (has < shares) revert StakePoolsTooFewShares(pool, account, has, shares);
        _holders[pool][account].shares.decrease(shares);
    }

    function _accrue(Pool storage p) internal {
        if (!_earns(p)) return p.stream.hold();
        uint256 flowed = p.stream.due();
        p.stream.advance(flowed);
        // No truncation: parts of PHA of this contract.
        p.staked.assets += uint128(flowed);
    }

    function _takeReserve(Pool storage p, address pool, uint256 amount) internal returns (uint256 left) {
        if (amount > p.reserved) revert StakePoolsTooLittleReserved(pool, p.reserved, amount);
        left = p.reserved - amount;
        p.reserved = uint128(left);
    }

    /// @dev Writes what votes go by.
    function _record(Pool storage p, address pool) internal {
        Ledger memory staked = p.staked;
        PoolHistory storage history = _histories[pool];
        history.shares.set(staked.shares);
        history.rate.set(staked.rate());
    }
}
