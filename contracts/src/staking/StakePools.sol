// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

import {EarningsStream, Stream} from "./EarningsStream.sol";
import {IFeeSink} from "./IFeeSink.sol";
import {IStakePools} from "./IStakePools.sol";
import {Ledger, ShareMath} from "./ShareMath.sol";
import {StakePoolExits} from "./StakePoolExits.sol";
import {StakePoolSeizures} from "./StakePoolSeizures.sol";
import {StakePoolSettings} from "./StakePoolSettings.sol";
import {StakePoolState} from "./StakePoolState.sol";
import {StakePoolVotes} from "./StakePoolVotes.sol";
import {StakeVotes} from "./StakeVotes.sol";

/// @title StakePools
/// @dev Each function writes all its state before its one transfer, which is its last act: a token that called back would
/// find the books complete.
contract StakePools is StakePoolSettings, StakePoolExits, StakePoolSeizures, StakePoolVotes {
    using Checkpoints for Checkpoints.Trace208;
    using EarningsStream for Stream;
    using SafeERC20 for IERC20;
    using ShareMath for Ledger;
    using StakeVotes for Checkpoints.Trace208;

    constructor(StakePoolsSettings memory settings) StakePoolState(settings) {}

    /// @inheritdoc IStakePools
    function deposit(
        address pool,
        uint256 assets,
        address receiver
    ) external returns (uint256 shares) {
        return _deposit(pool, assets, receiver);
    }

    /// @inheritdoc IStakePools
    function depositWithPermit(
        address pool,
        uint256 assets,
        address receiver,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 shares) {
        // Whoever saw the permit may have used it first; then the allowance is there, and otherwise the transfer fails.
        try IERC20Permit(address(token)).permit(msg.sender, address(this), assets, deadline, v, r, s) {} catch {}
        return _deposit(pool, assets, receiver);
    }

    /// @inheritdoc IStakePools
    function transferShares(address pool, address to, uint256 shares) external {
        Pool storage p = _poolAt(pool);
        _checkNotPaused(p, pool);
        _checkReceiver(p, pool, to);
        _takeShares(pool, msg.sender, shares);
        _holders[pool][to].shares.increase(shares);
        if (msg.sender == pool) {
            _accrue(p);
            uint256 needed = _ownStakeFor(p.reserved);
            uint256 has = _ownStake(p, pool, p.staked);
            if (has < needed) revert StakePoolsOwnStakeTooSmall(pool, has, needed);
        }
        emit SharesTransferred(pool, msg.sender, to, shares);
    }

    /// @inheritdoc IFeeSink
    function addFees(address operator, uint256 amount) external {
        Pool storage p = _openPoolAt(operator);
        if (amount == 0) revert StakePoolsZeroAmount();
        _takeUpCommission(p);
        _accrue(p);
        uint256 commission = amount * p.commissionBps / BPS;
        // No truncation: both are parts of PHA that is transferred below, of which there is less than 2^128.
        p.commission += SafeCast.toUint128(commission);
        p.stream.add(SafeCast.toUint128(amount - commission), earningsTime);
        totalHeld += amount;
        emit EarningsAdded(operator, msg.sender, amount, commission);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IStakePools
    function collectCommission(address receiver) external returns (uint256 amount) {
        Pool storage p = _poolAt(msg.sender);
        amount = p.commission;
        if (amount == 0) revert StakePoolsZeroAmount();
        p.commission = 0;
        totalHeld -= amount;
        emit CommissionCollected(msg.sender, receiver, amount);
        token.safeTransfer(receiver, amount);
    }

    /// @inheritdoc IStakePools
    function accrue(address pool) external {
        Pool storage p = _poolAt(pool);
        _accrue(p);
        _record(p, pool);
    }

    /// @inheritdoc IStakePools
    function reserve(address pool, uint256 amount) external onlyWorkerBonds {
        Pool storage p = _openPoolAt(pool);
        _accrue(p);
        uint256 needed = p.reserved + amount;
        if (needed > p.staked.assets) revert StakePoolsTooLittleStake(pool, p.staked.assets, needed);
        uint256 ownNeeded = _ownStakeFor(needed);
        uint256 own = _ownStaked(pool, p.staked);
        if (own < ownNeeded) revert StakePoolsOwnStakeTooSmall(pool, own, ownNeeded);
        // No truncation: at most staked.assets.
        p.reserved = uint128(needed);
        emit Reserved(pool, amount, needed);
    }

    /// @inheritdoc IStakePools
    function release(address pool, uint256 amount) external onlyWorkerBonds {
        uint256 left = _takeReserve(_poolAt(pool), pool, amount);
        emit Released(pool, amount, left);
    }

    /// @inheritdoc IFeeSink
    function hasPool(address operator) external view returns (bool) {
        return _pools[operator].exists && !_pools[operator].closed;
    }

    /// @inheritdoc IStakePools
    function poolOf(address pool) external view returns (PoolStatus memory status) {
        Pool storage p = _pools[pool];
        Ledger memory staked = _stakedNow(p);
        status.exists = p.exists;
        status.closed = p.closed;
        status.allowlistOn = p.allowlistOn;
        bool raised = p.nextCommissionAt != 0 && block.timestamp >= p.nextCommissionAt;
        status.commissionBps = raised ? p.nextCommissionBps : p.commissionBps;
        if (!raised) (status.nextCommissionBps, status.nextCommissionAt) = (p.nextCommissionBps, p.nextCommissionAt);
        status.openSeizures = p.openSeizures;
        status.pausedUntil = p.pausedUntil;
        status.capacity = p.capacity;
        status.reserved = p.reserved;
        status.commission = p.commission;
        // No underflow: what is due is a part of what is pending.
        status.unstreamed = p.stream.pending - (staked.assets - p.staked.assets);
        status.assets = staked.assets;
        status.shares = staked.shares;
        status.leaving = p.lanes[BACKERS].ledger.assets;
        status.ownLeaving = p.lanes[OWN].ledger.assets;
    }

    /// @inheritdoc IStakePools
    function unitsOf(address pool, address account) external view returns (uint256) {
        return _holders[pool][account].units.latest();
    }

    /// @inheritdoc IStakePools
    function convertToShares(address pool, uint256 assets) external view returns (uint256) {
        return _stakedNow(_pools[pool]).toSharesDown(assets);
    }

    /// @inheritdoc IStakePools
    function convertToAssets(address pool, uint256 shares) external view returns (uint256) {
        return _stakedNow(_pools[pool]).toAssetsDown(shares);
    }

    /// @inheritdoc IStakePools
    function isPaused(address pool) external view returns (bool) {
        return _isPaused(_pools[pool]);
    }

    /// @inheritdoc IStakePools
    function canReserve(address pool, uint256 amount) external view returns (bool) {
        Pool storage p = _pools[pool];
        Ledger memory staked = _stakedNow(p);
        uint256 needed = p.reserved + amount;
        return p.exists && !p.closed && needed <= staked.assets && _ownStaked(pool, staked) >= _ownStakeFor(needed);
    }

    function _deposit(address pool, uint256 assets, address receiver) private returns (uint256 shares) {
        Pool storage p = _openPoolAt(pool);
        _checkNoSeizure(p, pool);
        _checkReceiver(p, pool, receiver);
        if (assets < MIN_DEPOSIT) revert StakePoolsDepositTooSmall(assets, MIN_DEPOSIT);
        _accrue(p);
        uint256 after_ = p.staked.assets + assets;
        if (after_ > p.capacity) revert StakePoolsCapacityExceeded(pool, after_, p.capacity);
        shares = p.staked.toSharesDown(assets);
        if (shares == 0) revert StakePoolsZeroAmount();
        // No truncation: at most the capacity.
        p.staked.assets = uint128(after_);
        p.staked.shares += shares;
        _holders[pool][receiver].shares.increase(shares);
        totalHeld += assets;
        _record(p, pool);
        emit Deposited(pool, msg.sender, receiver, assets, shares);
        token.safeTransferFrom(msg.sender, address(this), assets);
    }
}
