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

/// @title EpochRewards
contract EpochRewards is IEpochRewards, Governed {
    using SafeERC20 for IERC20;

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
        _pots[epoch] =
            Pot({root: record.rewardsRoot, left: record.rewards, claimableAt: claimableAt, blocked: false});
        emit EpochOpened(epoch, record.rewardsRoot, record.rewards, claimableAt);
        emission.mintEpoch(epoch, record.rewards);
    }

    /// @inheritdoc IEpochRewards
    function claim(uint64 epoch, address operator, uint256 amount, bytes32[] calldata proof) external {
        Pot storage pot = _opened(epoch);
        if (block.timestamp < pot.claimableAt) {
            revert EpochRewardsNotClaimable(epoch, pot.claimableAt, block.timestamp);
        }
        if (pot.blocked) revert EpochRewardsBlocked(epoch);
        if (isClaimed[epoch][operator]) revert EpochRewardsAlreadyClaimed(epoch, operator);
        bytes32 leaf = keccak256(abi.encode("cloister/reward: v1", epoch, operator, amount));
        if (!MerkleTree.holds(pot.root, leaf, proof)) revert EpochRewardsNotInRoot(epoch, operator, amount);
        if (amount > pot.left) revert EpochRewardsPotExceeded(epoch, amount, pot.left);

        isClaimed[epoch][operator] = true;
        // No truncation: at most `left`.
        pot.left -= uint128(amount);
        IFeeSink sink = feeSink;
        bool toPool = address(sink) != address(0) && sink.hasPool(operator);
        emit RewardClaimed(epoch, operator, amount, toPool);
        if (!toPool) return _token.safeTransfer(operator, amount);
        _token.forceApprove(address(sink), amount);
        sink.addFees(operator, amount);
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

    function _opened(uint64 epoch) private view returns (Pot storage pot) {
        pot = _pots[epoch];
        if (pot.claimableAt == 0) revert EpochRewardsNotOpen(epoch);
    }
}
