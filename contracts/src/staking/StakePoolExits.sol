// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

import {ExitLane, Lane} from "./ExitLane.sol";
import {IStakePools} from "./IStakePools.sol";
import {Ledger, ShareMath} from "./ShareMath.sol";
import {StakePoolState} from "./StakePoolState.sol";
import {StakeVotes} from "./StakeVotes.sol";

/// @title StakePoolExits
/// @notice The way out: requests in two lanes, served as far as no bond needs the stake.
abstract contract StakePoolExits is StakePoolState {
    using ExitLane for Lane;
    using SafeERC20 for IERC20;
    using ShareMath for Ledger;
    using StakeVotes for Checkpoints.Trace208;

    /// @inheritdoc IStakePools
    function requestRedeem(address pool, uint256 shares) external returns (uint256 requestId) {
        Pool storage p = _poolAt(pool);
        if (p.closed) _checkNoSeizure(p, pool);
        _accrue(p);
        _takeShares(pool, msg.sender, shares);
        uint256 assets = p.staked.toAssetsDown(shares);
        // No truncation: at most staked.assets.
        p.staked.assets -= uint128(assets);
        p.staked.shares -= shares;
        (uint256 units, uint256 turn) = p.lanes[_laneOf(pool, msg.sender)].enter(assets);
        if (units == 0) revert StakePoolsZeroAmount();
        requestId = p.requests.length;
        p.requests.push(RedeemRequest(msg.sender, uint40(block.timestamp), units, turn));
        _holders[pool][msg.sender].units.increase(units);
        _record(p, pool);
        emit RedeemRequested(pool, msg.sender, requestId, shares, assets, units, turn);
    }

    /// @inheritdoc IStakePools
    function claimRedeem(
        address pool,
        uint256 requestId,
        address receiver
    ) external returns (uint256 assets) {
        Pool storage p = _poolAt(pool);
        RedeemRequest memory request = _requestAt(p, pool, requestId);
        if (msg.sender != request.owner) revert StakePoolsCallerNotOwner(msg.sender, request.owner);
        _checkNotPaused(p, pool);
        uint256 claimableAt = uint256(request.requestedAt) + unbonding;
        if (block.timestamp < claimableAt) revert StakePoolsNotClaimable(claimableAt, block.timestamp);
        Lane storage lane = p.lanes[_laneOf(pool, request.owner)];
        if (request.turn > lane.served) {
            _accrue(p);
            _serve(p, pool);
            if (request.turn > lane.served) revert StakePoolsNotServed(request.turn, lane.served);
        }
        delete p.requests[requestId];
        assets = lane.payOut(request.units);
        _holders[pool][msg.sender].units.decrease(request.units);
        totalHeld -= assets;
        emit RedeemClaimed(pool, msg.sender, requestId, receiver, assets);
        token.safeTransfer(receiver, assets);
    }

    /// @inheritdoc IStakePools
    function serve(address pool) external {
        Pool storage p = _poolAt(pool);
        _accrue(p);
        _serve(p, pool);
    }

    /// @inheritdoc IStakePools
    function requestOf(address pool, uint256 requestId) external view returns (RedeemRequest memory) {
        return _requestAt(_pools[pool], pool, requestId);
    }

    /// @inheritdoc IStakePools
    function requestCount(address pool) external view returns (uint256) {
        return _pools[pool].requests.length;
    }

    /// @inheritdoc IStakePools
    function claimableRedeem(
        address pool,
        uint256 requestId
    ) external view returns (uint256 assets, bool claimable) {
        Pool storage p = _pools[pool];
        RedeemRequest memory request = _requestAt(p, pool, requestId);
        assets = p.lanes[_laneOf(pool, request.owner)].ledger.toAssetsDown(request.units);
        claimable = block.timestamp >= uint256(request.requestedAt) + unbonding && !_isPaused(p)
            && p.reserved <= coverBehind(pool, requestId);
    }

    /// @inheritdoc IStakePools
    function coverOf(address pool) external view returns (uint256) {
        Pool storage p = _pools[pool];
        if (p.closed) return 0;
        Ledger memory staked = _stakedNow(p);
        uint256 left = Math.saturatingSub(
            _totalOf(p, staked), p.lanes[BACKERS].servedAssets() + p.lanes[OWN].servedAssets()
        );
        return Math.min(left + ROUNDING, _bondsFor(_ownStake(p, pool, staked) + ROUNDING));
    }

    /// @inheritdoc IStakePools
    function coverBehind(address pool, uint256 requestId) public view returns (uint256) {
        Pool storage p = _pools[pool];
        RedeemRequest memory request = _requestAt(p, pool, requestId);
        Ledger memory staked = _stakedNow(p);
        uint256 lane = _laneOf(pool, request.owner);
        if (request.turn <= p.lanes[lane].served) return type(uint256).max;
        uint256 total = _totalOf(p, staked);
        if (lane == BACKERS) {
            uint256 needed = p.lanes[BACKERS].assetsUpTo(request.turn) + p.lanes[OWN].servedAssets() + ROUNDING;
            return Math.saturatingSub(total, needed);
        }
        uint256 own = p.lanes[OWN].assetsUpTo(request.turn) + ROUNDING;
        uint256 ownLeft = Math.saturatingSub(_ownStaked(pool, staked) + p.lanes[OWN].ledger.assets, own);
        return Math.min(Math.saturatingSub(total, p.lanes[BACKERS].ledger.assets + own), _bondsFor(ownLeft));
    }

    function _requestAt(
        Pool storage p,
        address pool,
        uint256 requestId
    ) internal view returns (RedeemRequest memory request) {
        if (requestId < p.requests.length) request = p.requests[requestId];
        if (request.owner == address(0)) revert StakePoolsRequestUnknown(pool, requestId);
    }

    /// @dev First the backers' lane; the operator's only once nobody waits there.
    function _serve(Pool storage p, address pool) internal {
        Lane storage backers = p.lanes[BACKERS];
        Lane storage own = p.lanes[OWN];
        uint256 reserved = p.reserved;
        if (reserved == 0) {
            // Nothing else needs the stake, so no rounding may keep the last unit.
            (backers.served, own.served) = (backers.requested, own.requested);
        } else {
            Ledger memory staked = p.staked;
            uint256 free = Math.saturatingSub(
                _totalOf(p, staked), backers.servedAssets() + own.servedAssets() + reserved
            );
            // Nothing is left for the operator while anybody else waits.
            free -= backers.serve(free);
            if (own.waitingUnits() != 0) {
                uint256 ownFree = Math.saturatingSub(_ownStake(p, pool, staked), _ownStakeFor(reserved));
                own.serve(Math.min(free, ownFree));
            }
        }
        emit Served(pool, backers.served, own.served);
    }
}
