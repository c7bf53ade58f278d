// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

import {IStakePools} from "./IStakePools.sol";
import {Ledger, ShareMath} from "./ShareMath.sol";
import {StakePoolState} from "./StakePoolState.sol";
import {PoolHistory, StakeVotes} from "./StakeVotes.sol";

/// @title StakePoolSettings
/// @notice What operators and governance set, and whom a pool takes stake from.
abstract contract StakePoolSettings is StakePoolState {
    using ShareMath for Ledger;
    using StakeVotes for Checkpoints.Trace208;

    /// @inheritdoc IStakePools
    function createPool(uint16 commissionBps, uint128 capacity, bool allowlistOn) external {
        Pool storage pool = _pools[msg.sender];
        if (pool.exists) revert StakePoolsPoolExists(msg.sender);
        _checkCommission(commissionBps, MAX_COMMISSION_BPS);
        pool.exists = true;
        pool.commissionBps = commissionBps;
        pool.capacity = capacity;
        pool.allowlistOn = allowlistOn;
        PoolHistory storage history = _histories[msg.sender];
        Ledger memory empty;
        uint256 par = empty.rate();
        history.unitRates[BACKERS].set(par);
        history.unitRates[OWN].set(par);
        emit PoolCreated(msg.sender, commissionBps, capacity, allowlistOn);
    }

    /// @inheritdoc IStakePools
    function setCommission(uint16 commissionBps) external {
        Pool storage pool = _poolAt(msg.sender);
        _takeUpCommission(pool);
        uint16 present = pool.commissionBps;
        bool waits = pool.nextCommissionAt != 0;
        if (commissionBps == present && !waits) revert StakePoolsCommissionUnchanged(commissionBps);
        _checkCommission(commissionBps, MAX_COMMISSION_BPS);
        _checkCommission(commissionBps, present + MAX_COMMISSION_STEP_BPS);
        uint40 effectiveAt = uint40(block.timestamp);
        if (commissionBps > present) {
            // Longer than who asks at once waits: nobody bears a raise that he left for.
            effectiveAt += 2 * uint40(unbonding);
            pool.nextCommissionBps = commissionBps;
            pool.nextCommissionAt = effectiveAt;
        } else {
            pool.commissionBps = commissionBps;
            pool.nextCommissionBps = 0;
            pool.nextCommissionAt = 0;
        }
        emit CommissionSet(msg.sender, commissionBps, effectiveAt);
    }

    /// @inheritdoc IStakePools
    function setCapacity(uint128 capacity) external {
        _poolAt(msg.sender).capacity = capacity;
        emit CapacitySet(msg.sender, capacity);
    }

    /// @inheritdoc IStakePools
    function setAllowlist(bool allowlistOn) external {
        _poolAt(msg.sender).allowlistOn = allowlistOn;
        emit AllowlistSet(msg.sender, allowlistOn);
    }

    /// @inheritdoc IStakePools
    function setAllowed(address account, bool allowed) external {
        _poolAt(msg.sender);
        _allowed[msg.sender][account] = allowed;
        emit AllowedSet(msg.sender, account, allowed);
    }

    /// @inheritdoc IStakePools
    function setWorkerBonds(address workerBonds_) external onlyTimelock {
        if (workerBonds != address(0)) revert StakePoolsWorkerBondsSet(workerBonds);
        if (workerBonds_.code.length == 0) revert StakePoolsWithoutCode(workerBonds_);
        workerBonds = workerBonds_;
        emit WorkerBondsSet(workerBonds_);
    }

    /// @inheritdoc IStakePools
    function setOwnStakeShare(uint16 bps) external onlyTimelock {
        if (bps > MAX_OWN_STAKE_BPS) revert StakePoolsShareOutOfRange(bps, MAX_OWN_STAKE_BPS);
        ownStakeBps = bps;
        emit OwnStakeShareSet(bps);
    }

    /// @inheritdoc IStakePools
    function isAllowed(address pool, address account) external view returns (bool) {
        return _isAllowed(_pools[pool], pool, account);
    }

    function _checkCommission(uint256 bps, uint256 maximum) internal pure {
        if (bps > maximum) revert StakePoolsCommissionTooHigh(bps, maximum);
    }

    function _takeUpCommission(Pool storage p) internal {
        if (p.nextCommissionAt == 0 || block.timestamp < p.nextCommissionAt) return;
        p.commissionBps = p.nextCommissionBps;
        p.nextCommissionBps = 0;
        p.nextCommissionAt = 0;
    }

    function _checkReceiver(Pool storage p, address pool, address receiver) internal view {
        if (receiver == address(0)) revert StakePoolsReceiverMissing();
        if (!_isAllowed(p, pool, receiver)) revert StakePoolsNotAllowed(pool, receiver);
    }

    function _isAllowed(Pool storage p, address pool, address account) internal view returns (bool) {
        return !p.allowlistOn || account == pool || _allowed[pool][account];
    }
}
