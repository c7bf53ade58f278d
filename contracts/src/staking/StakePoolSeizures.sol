// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

import {EarningsStream, Stream} from "./EarningsStream.sol";
import {IStakePools} from "./IStakePools.sol";
import {Ledger, ShareMath} from "./ShareMath.sol";
import {StakePoolState} from "./StakePoolState.sol";
import {PoolHistory, StakeVotes} from "./StakeVotes.sol";

/// @title StakePoolSeizures
/// @notice What is taken of pools for bonds that are slashed, and what is given back.
abstract contract StakePoolSeizures is StakePoolState {
    using EarningsStream for Stream;
    using SafeERC20 for IERC20;
    using ShareMath for Ledger;
    using StakeVotes for Checkpoints.Trace208;

    /// @inheritdoc IStakePools
    function seize(
        address pool,
        uint256 amount,
        address holder
    ) external onlyWorkerBonds returns (uint256 seizureId, uint256 moved) {
        Pool storage p = _poolAt(pool);
        _accrue(p);
        _takeReserve(p, pool, amount);
        Seizure memory seizure;
        seizure.pool = pool;
        seizure.holder = holder;
        seizure.state = SeizureState.Open;
        uint256 left = amount;
        seizure.ownStaked = _burnOwn(p, pool, left);
        left -= seizure.ownStaked;
        seizure.ownLeaving = _lower(p.lanes[OWN].ledger, left);
        left -= seizure.ownLeaving;
        (uint256 staked, uint256 leaving) = (p.staked.assets, p.lanes[BACKERS].ledger.assets);
        left = Math.min(left, staked + leaving);
        if (left > 0) {
            seizure.staked = _lower(p.staked, Math.mulDiv(left, staked, staked + leaving));
            seizure.leaving = _lower(p.lanes[BACKERS].ledger, left - seizure.staked);
        }
        moved = uint256(seizure.ownStaked) + seizure.ownLeaving + seizure.staked + seizure.leaving;
        seizureId = _seizures.length;
        _seizures.push(seizure);
        _pause(p);
        totalHeld -= moved;
        _recordAll(p, pool);
        emit Seized(
            pool,
            seizureId,
            holder,
            seizure.ownStaked,
            seizure.ownLeaving,
            seizure.staked,
            seizure.leaving
        );
        token.safeTransfer(holder, moved);
    }

    /// @inheritdoc IStakePools
    function settle(uint256 seizureId) external {
        Seizure memory seizure = _endSeizure(seizureId, SeizureState.Settled);
        emit SeizureSettled(seizure.pool, seizureId);
    }

    /// @inheritdoc IStakePools
    function restore(uint256 seizureId) external {
        Seizure memory seizure = _endSeizure(seizureId, SeizureState.Restored);
        address pool = seizure.pool;
        Pool storage p = _pools[pool];
        _accrue(p);
        _giveBack(p, seizure);
        uint256 own = seizure.ownStaked;
        if (p.lanes[OWN].ledger.shares == 0) own += seizure.ownLeaving;
        else p.lanes[OWN].ledger.assets += seizure.ownLeaving;
        uint256 ownShares = p.staked.toSharesDown(own);
        p.staked.assets += uint128(own);
        p.staked.shares += ownShares;
        _holders[pool][pool].shares.increase(ownShares);
        uint256 amount = uint256(seizure.ownStaked) + seizure.ownLeaving + seizure.staked + seizure.leaving;
        totalHeld += amount;
        _recordAll(p, pool);
        emit SeizureRestored(pool, seizureId, ownShares);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IStakePools
    function seizureOf(uint256 seizureId) external view returns (Seizure memory) {
        return _seizures[seizureId];
    }

    /// @dev Takes the worth of the operator's shares, up to a limit, and burns what that took: rounded up, so that no
    /// other share is worth less by it.
    function _burnOwn(Pool storage p, address pool, uint256 limit) internal returns (uint128 taken) {
        uint256 has = sharesOf(pool, pool);
        Ledger memory staked = p.staked;
        uint256 worth = staked.toAssetsDown(has);
        uint256 burnt = has;
        if (limit < worth) burnt = Math.min(has, staked.toSharesUp(limit));
        // No truncation: at most staked.assets.
        taken = uint128(Math.min(limit, worth));
        p.staked.assets -= taken;
        p.staked.shares -= burnt;
        _holders[pool][pool].shares.decrease(burnt);
    }

    /// @dev Takes assets of a ledger's holders, up to a limit.
    function _lower(Ledger storage ledger, uint256 limit) internal returns (uint128 taken) {
        // No truncation: at most ledger.assets.
        taken = uint128(Math.min(limit, ledger.assets));
        ledger.assets -= taken;
    }

    function _pause(Pool storage p) internal {
        ++p.openSeizures;
        if (block.timestamp >= p.pausedUntil + PAUSE_GAP) p.pausedUntil = uint40(block.timestamp + maxPause);
    }

    function _endSeizure(uint256 seizureId, SeizureState state) internal returns (Seizure memory seizure) {
        seizure = _seizures[seizureId];
        if (msg.sender != seizure.holder) revert StakePoolsCallerNotHolder(msg.sender, seizure.holder);
        if (seizure.state != SeizureState.Open) revert StakePoolsSeizureNotOpen(seizureId, seizure.state);
        _seizures[seizureId].state = state;
        --_pools[seizure.pool].openSeizures;
    }

    /// @dev What was taken of all alike.
    function _giveBack(Pool storage p, Seizure memory seizure) internal {
        uint256 amount = uint256(seizure.staked) + seizure.leaving;
        Ledger storage leaving = p.lanes[BACKERS].ledger;
        (uint256 stakedNow, uint256 leavingNow) = (p.staked.assets, leaving.assets);
        uint256 toStaked = p.closed || stakedNow + leavingNow == 0
            ? seizure.staked
            : Math.mulDiv(amount, stakedNow, stakedNow + leavingNow);
        if (p.staked.shares == 0) toStaked = 0;
        // No truncation: parts of the seizure's 128 bits.
        uint256 toLeaving = amount - toStaked;
        if (leaving.shares != 0) {
            leaving.assets += uint128(toLeaving);
            toLeaving = 0;
        }
        p.staked.assets += uint128(toStaked);
        // Nobody leaves, and nobody stays: whoever comes next earns it in time.
        if (toLeaving != 0) p.stream.add(uint128(toLeaving), earningsTime);
    }

    /// @dev The same after what changes the worth of leaving stake as well.
    function _recordAll(Pool storage p, address pool) internal {
        _record(p, pool);
        PoolHistory storage history = _histories[pool];
        Ledger memory leaving = p.lanes[BACKERS].ledger;
        history.unitRates[BACKERS].set(leaving.rate());
        history.unitRates[OWN].set(p.lanes[OWN].ledger.rate());
        bool closed = p.staked.isWorthless() || leaving.isWorthless();
        if (closed == p.closed) return;
        p.closed = closed;
        emit PoolClosed(pool, closed);
    }
}
