// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {EpochRecord} from "../governance/EpochRecordLib.sol";
import {Governed} from "../governance/Governed.sol";
import {IEpochRecords} from "../governance/IEpochRecords.sol";
import {MerkleTree} from "../libraries/MerkleTree.sol";
import {IFeeSink} from "../staking/IFeeSink.sol";
import {IEmission} from "./IEmission.sol";
import {IEpochRewards} from "./IEpochRewards.sol";
import {RewardLeaf} from "./RewardLeaf.sol";

/// @title EpochRewards
contract EpochRewards is IEpochRewards, Governed {
    using SafeERC20 for IERC20;

    /// @inheritdoc IEpochRewards
    /// @dev Of pools, each with a proof of 17 nodes, so many come to less than the gas of a transaction.
    uint256 public constant MAX_BATCH = 128;

    /// @inheritdoc IEpochRewards
    IEmission public immutable emission;

    IEpochRecords private immutable _records;
    IERC20 private immutable _token;
    uint32 private immutable _epochLength;

    /// @inheritdoc IEpochRewards
    address public guardian;

    /// @inheritdoc IEpochRewards
    IFeeSink public feeSink;

    /// @inheritdoc IEpochRewards
    mapping(uint64 epoch => mapping(address operator => bool)) public isClaimed;

    /// @inheritdoc IEpochRewards
    mapping(address operator => uint256) public owed;

    mapping(uint64 epoch => Pot) private _pots;

    constructor(address timelock_, IEmission emission_) Governed(timelock_) {
        if (address(emission_).code.length == 0) revert EpochRewardsWithoutCode(address(emission_));
        emission = emission_;
        _records = emission_.records();
        _token = emission_.token();
        _epochLength = _records.epochLength();
    }

    /// @inheritdoc IEpochRewards
    function open(EpochRecord calldata record) external {
        uint64 epoch = record.epoch;
        (bytes32 known, bytes32 given) = (_records.digestOf(epoch), _records.recordDigest(record));
        if (known != given) revert EpochRewardsRecordMismatch(epoch, known, given);
        if (_pots[epoch].claimableAt != 0) revert EpochRewardsAlreadyOpen(epoch);
        uint64 claimableAt = uint64(block.timestamp) + _epochLength;
        Pot storage pot = _pots[epoch];
        pot.claimableAt = claimableAt;
        if (!emission.mintEpoch(epoch, record.rewards)) {
            pot.forfeited = true;
            emit EpochForfeited(epoch, record.rewards);
            return;
        }
        pot.root = record.rewardsRoot;
        pot.left = record.rewards;
        emit EpochOpened(epoch, record.rewardsRoot, record.rewards, claimableAt);
    }

    /// @inheritdoc IEpochRewards
    function claim(uint64 epoch, address operator, uint256 amount, bytes32[] calldata proof) external {
        Pot storage pot = _claimable(epoch);
        if (isClaimed[epoch][operator]) revert EpochRewardsAlreadyClaimed(epoch, operator);
        if (!_isInRoot(pot, epoch, operator, amount, proof)) revert EpochRewardsNotInRoot(epoch, operator, amount);
        if (amount > pot.left) revert EpochRewardsPotExceeded(epoch, amount, pot.left);
        _pay(pot, epoch, operator, amount);
    }

    /// @inheritdoc IEpochRewards
    function claimMany(uint64 epoch, Reward[] calldata rewards) external returns (uint256 claimed) {
        uint256 count = rewards.length;
        if (count == 0 || count > MAX_BATCH) revert EpochRewardsBatchOutOfRange(count, MAX_BATCH);
        Pot storage pot = _claimable(epoch);
        for (uint256 i = 0; i < count; ++i) {
            (address operator, uint256 amount) = (rewards[i].operator, rewards[i].amount);
            if (isClaimed[epoch][operator] || amount > pot.left) continue;
            if (!_isInRoot(pot, epoch, operator, amount, rewards[i].proof)) continue;
            _pay(pot, epoch, operator, amount);
            ++claimed;
        }
    }

    /// @inheritdoc IEpochRewards
    function collect(address operator) external {
        uint256 amount = owed[operator];
        if (amount == 0) revert EpochRewardsNothingOwed(operator);
        owed[operator] = 0;
        _handOver(operator, amount);
    }

    /// @dev For claims alone: a call of its own, so that what fails in it leaves nothing.
    function handOver(address operator, uint256 amount) external {
        if (msg.sender != address(this)) revert EpochRewardsCallerNotSelf(msg.sender);
        _handOver(operator, amount);
    }

    /// @inheritdoc IEpochRewards
    function blockEpoch(uint64 epoch) external {
        if (msg.sender != guardian && msg.sender != timelock) revert EpochRewardsCallerMayNotBlock(msg.sender);
        Pot storage pot = _opened(epoch);
        if (block.timestamp >= pot.claimableAt) {
            revert EpochRewardsWindowOver(epoch, pot.claimableAt, block.timestamp);
        }
        if (pot.blocked) revert EpochRewardsBlocked(epoch);
        pot.blocked = true;
        emit EpochBlocked(epoch, msg.sender);
    }

    /// @inheritdoc IEpochRewards
    function lift(uint64 epoch) external onlyTimelock {
        if (!_pots[epoch].blocked) revert EpochRewardsNotBlocked(epoch);
        _pots[epoch].blocked = false;
        emit EpochLifted(epoch);
    }

    /// @inheritdoc IEpochRewards
    function voidEpoch(uint64 epoch) external onlyTimelock {
        Pot storage pot = _pots[epoch];
        if (!pot.blocked) revert EpochRewardsNotBlocked(epoch);
        uint256 burnt = pot.left;
        pot.left = 0;
        emit EpochVoided(epoch, burnt);
        ERC20Burnable(address(_token)).burn(burnt);
    }

    /// @inheritdoc IEpochRewards
    function setGuardian(address guardian_) external onlyTimelock {
        guardian = guardian_;
        emit GuardianSet(guardian_);
    }

    /// @inheritdoc IEpochRewards
    function setFeeSink(IFeeSink feeSink_) external onlyTimelock {
        feeSink = feeSink_;
        emit FeeSinkSet(address(feeSink_));
    }

    /// @inheritdoc IEpochRewards
    function potOf(uint64 epoch) external view returns (Pot memory) {
        return _pots[epoch];
    }

    /// @dev The pot of an epoch that may be claimed from.
    function _claimable(uint64 epoch) private view returns (Pot storage pot) {
        pot = _opened(epoch);
        if (block.timestamp < pot.claimableAt) {
            revert EpochRewardsNotClaimable(epoch, pot.claimableAt, block.timestamp);
        }
        if (pot.forfeited) revert EpochRewardsForfeited(epoch);
        if (pot.blocked) revert EpochRewardsBlocked(epoch);
    }

    function _isInRoot(
        Pot storage pot,
        uint64 epoch,
        address operator,
        uint256 amount,
        bytes32[] calldata proof
    ) private view returns (bool) {
        return MerkleTree.holds(pot.root, RewardLeaf.hash(epoch, operator, amount), proof);
    }

    /// @dev Warning: only what is in the root, not claimed yet, and no more than is left.
    function _pay(Pot storage pot, uint64 epoch, address operator, uint256 amount) private {
        isClaimed[epoch][operator] = true;
        // No truncation: at most `left`.
        pot.left -= uint128(amount);
        emit RewardClaimed(epoch, operator, amount);
        // A pool that takes nothing, now or for want of the caller's gas, stops no claim and loses its backers nothing.
        try this.handOver(operator, amount) {}
        catch {
            owed[operator] += amount;
            emit RewardHeld(operator, amount);
        }
    }

    function _handOver(address operator, uint256 amount) private {
        IFeeSink sink = feeSink;
        bool toPool = address(sink) != address(0) && sink.hasPool(operator);
        emit RewardPaid(operator, amount, toPool);
        if (!toPool) return _token.safeTransfer(operator, amount);
        _token.forceApprove(address(sink), amount);
        sink.addFees(operator, amount);
        if (_token.allowance(address(this), address(sink)) != 0) revert EpochRewardsNotTaken(operator, amount);
    }

    function _opened(uint64 epoch) private view returns (Pot storage pot) {
        pot = _pots[epoch];
        if (pot.claimableAt == 0) revert EpochRewardsNotOpen(epoch);
    }
}
