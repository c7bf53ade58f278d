// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Governed} from "../governance/Governed.sol";
import {IEpochRecords} from "../governance/IEpochRecords.sol";
import {EmissionSchedule} from "./EmissionSchedule.sol";
import {IEmission} from "./IEmission.sol";
import {IEmittedPha} from "./IEmittedPha.sol";

/// @title Emission
contract Emission is IEmission, Governed {
    uint16 private constant WHOLE_BPS = 10_000;
    uint16 private constant MAX_TREASURY_BPS = 3_000;
    uint16 private constant MAX_GATEKEEPERS_BPS = 1_000;

    /// @inheritdoc IEmission
    IEmittedPha public immutable token;

    /// @inheritdoc IEmission
    IEpochRecords public immutable records;

    uint32 private immutable _epochLength;

    /// @inheritdoc IEmission
    address public rewards;

    /// @inheritdoc IEmission
    mapping(uint64 epoch => bool) public isMinted;

    EmissionSplit private _split;

    /// @dev Until a split is set, all is the workers'.
    constructor(address timelock_, IEmittedPha token_, IEpochRecords records_) Governed(timelock_) {
        if (address(token_).code.length == 0) revert EmissionWithoutCode(address(token_));
        if (address(records_).code.length == 0) revert EmissionWithoutCode(address(records_));
        if (token_.emission() != address(this)) revert EmissionNotMinter(token_.emission());
        // Nothing else issues, so the schedule can always be kept.
        uint256 left = token_.ISSUE_CAP() - token_.issuedEver();
        uint256 needed = EmissionSchedule.total();
        if (left < needed) revert EmissionCapTooSmall(left, needed);
        token = token_;
        records = records_;
        _epochLength = records_.epochLength();
    }

    /// @inheritdoc IEmission
    function mintEpoch(uint64 epoch, uint256 toWorkers) external {
        if (msg.sender != rewards) revert EmissionCallerNotRewards(msg.sender, rewards);
        if (records.digestOf(epoch) == 0) revert EmissionNoRecord(epoch);
        if (isMinted[epoch]) revert EmissionAlreadyMinted(epoch);
        EmissionSplit memory parts = _split;
        uint256 budget = budgetOf(epoch);
        uint256 toTreasury = (budget * parts.treasuryBps) / WHOLE_BPS;
        uint256 toGatekeepers = (budget * parts.gatekeepersBps) / WHOLE_BPS;
        uint256 ofWorkers = budget - toTreasury - toGatekeepers;
        if (toWorkers > ofWorkers) revert EmissionBudgetExceeded(epoch, toWorkers, ofWorkers);

        isMinted[epoch] = true;
        emit EpochMinted(epoch, toWorkers, toTreasury, toGatekeepers);
        if (toWorkers > 0) token.mintForEmission(msg.sender, toWorkers);
        if (toTreasury > 0) token.mintForEmission(parts.treasury, toTreasury);
        if (toGatekeepers > 0) token.mintForEmission(parts.gatekeepers, toGatekeepers);
    }

    /// @inheritdoc IEmission
    function setRewards(address rewards_) external onlyTimelock {
        rewards = rewards_;
        emit RewardsSet(rewards_);
    }

    /// @inheritdoc IEmission
    function setSplit(EmissionSplit calldata split_) external onlyTimelock {
        _checkShare(split_.treasury, split_.treasuryBps, MAX_TREASURY_BPS);
        _checkShare(split_.gatekeepers, split_.gatekeepersBps, MAX_GATEKEEPERS_BPS);
        _split = split_;
        emit SplitSet(split_);
    }

    /// @inheritdoc IEmission
    function split() external view returns (EmissionSplit memory) {
        return _split;
    }

    /// @inheritdoc IEmission
    function budgetOf(uint64 epoch) public view returns (uint256) {
        if (records.digestOf(epoch) == 0) return 0;
        // Epochs that were left out never come back, so an interval of two has nothing in common with another's.
        uint256 from = epoch > 0 && records.digestOf(epoch - 1) == 0 ? epoch - 1 : epoch;
        // No overflow: 64 bits and 32 bits in 256.
        return EmissionSchedule.emittedAfter((uint256(epoch) + 1) * _epochLength)
            - EmissionSchedule.emittedAfter(from * _epochLength);
    }

    /// @inheritdoc IEmission
    function emittedAfter(uint256 elapsed) external pure returns (uint256) {
        return EmissionSchedule.emittedAfter(elapsed);
    }

    function _checkShare(address to, uint16 bps, uint16 maximum) private pure {
        if (bps > maximum) revert EmissionShareTooLarge(bps, maximum);
        if (bps > 0 && to == address(0)) revert EmissionZeroRecipient();
    }
}
