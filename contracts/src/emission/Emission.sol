// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Governed} from "../governance/Governed.sol";
import {IEpochRecords} from "../governance/IEpochRecords.sol";
import {EmissionSchedule} from "./EmissionSchedule.sol";
import {IEmission} from "./IEmission.sol";
import {IEmittedPha} from "./IEmittedPha.sol";

/// @title Emission
contract Emission is IEmission, Governed {
    /// @dev A split and the epoch from which it holds.
    struct DatedSplit {
        // ### 1st slot
        uint64 fromEpoch;
        address treasury;
        uint16 treasuryBps;
        // ### 2nd slot
        address gatekeepers;
        uint16 gatekeepersBps;
    }

    uint16 private constant WHOLE_BPS = 10_000;
    uint16 private constant MAX_TREASURY_BPS = 3_000;
    uint16 private constant MAX_GATEKEEPERS_BPS = 1_000;

    /// @inheritdoc IEmission
    IEmittedPha public immutable token;

    /// @inheritdoc IEmission
    IEpochRecords public immutable records;

    uint32 private immutable _epochLength;
    uint64 private immutable _genesis;

    /// @inheritdoc IEmission
    address public rewards;

    /// @inheritdoc IEmission
    mapping(uint64 epoch => bool) public isMinted;

    /// @dev Ascending by epoch.
    DatedSplit[] private _splits;

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
        _genesis = records_.genesis();
    }

    /// @inheritdoc IEmission
    function mintEpoch(uint64 epoch, uint256 toWorkers) external returns (bool minted) {
        if (msg.sender != rewards) revert EmissionCallerNotRewards(msg.sender, rewards);
        if (records.digestOf(epoch) == 0) revert EmissionNoRecord(epoch);
        if (isMinted[epoch]) revert EmissionAlreadyMinted(epoch);
        EmissionSplit memory parts = splitOf(epoch);
        (uint256 ofWorkers, uint256 toTreasury, uint256 toGatekeepers) = _parted(budgetOf(epoch), parts);
        isMinted[epoch] = true;
        if (toWorkers > ofWorkers) {
            emit EpochForfeited(epoch, toWorkers, ofWorkers);
            return false;
        }
        emit EpochMinted(epoch, toWorkers, toTreasury, toGatekeepers);
        if (toWorkers > 0) token.mintForEmission(msg.sender, toWorkers);
        if (toTreasury > 0) token.mintForEmission(parts.treasury, toTreasury);
        if (toGatekeepers > 0) token.mintForEmission(parts.gatekeepers, toGatekeepers);
        return true;
    }

    /// @inheritdoc IEmission
    function setRewards(address rewards_) external onlyTimelock {
        rewards = rewards_;
        emit RewardsSet(rewards_);
    }

    /// @inheritdoc IEmission
    function setSplit(uint64 fromEpoch, EmissionSplit calldata split) external onlyTimelock {
        _checkShare(split.treasury, split.treasuryBps, MAX_TREASURY_BPS);
        _checkShare(split.gatekeepers, split.gatekeepersBps, MAX_GATEKEEPERS_BPS);
        // Of an epoch that has begun the members may compute a record, as soon as it is over.
        uint256 earliest = block.timestamp < _genesis ? 0 : (block.timestamp - _genesis) / _epochLength + 1;
        if (fromEpoch < earliest) revert EmissionSplitTooEarly(fromEpoch, earliest);
        while (_splits.length > 0 && _splits[_splits.length - 1].fromEpoch >= fromEpoch) _splits.pop();
        _splits.push(
            DatedSplit({
                fromEpoch: fromEpoch,
                treasury: split.treasury,
                treasuryBps: split.treasuryBps,
                gatekeepers: split.gatekeepers,
                gatekeepersBps: split.gatekeepersBps
            })
        );
        emit SplitSet(fromEpoch, split);
    }

    /// @inheritdoc IEmission
    function splitOf(uint64 epoch) public view returns (EmissionSplit memory split) {
        // How many hold from this epoch or before, by halves: old epochs stay as cheap to mint as new ones.
        (uint256 low, uint256 high) = (0, _splits.length);
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (_splits[middle].fromEpoch <= epoch) low = middle + 1;
            else high = middle;
        }
        if (low == 0) return split;
        DatedSplit memory found = _splits[low - 1];
        return EmissionSplit(found.treasury, found.treasuryBps, found.gatekeepers, found.gatekeepersBps);
    }

    /// @inheritdoc IEmission
    function workersBudgetOf(uint64 epoch) external view returns (uint256 ofWorkers) {
        (ofWorkers,,) = _parted(budgetOf(epoch), splitOf(epoch));
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

    /// @dev Treasury's and gatekeepers' parts are rounded down.
    function _parted(
        uint256 budget,
        EmissionSplit memory parts
    ) private pure returns (uint256 ofWorkers, uint256 toTreasury, uint256 toGatekeepers) {
        toTreasury = (budget * parts.treasuryBps) / WHOLE_BPS;
        toGatekeepers = (budget * parts.gatekeepersBps) / WHOLE_BPS;
        ofWorkers = budget - toTreasury - toGatekeepers;
    }

    function _checkShare(address to, uint16 bps, uint16 maximum) private pure {
        if (bps > maximum) revert EmissionShareTooLarge(bps, maximum);
        if (bps > 0 && to == address(0)) revert EmissionZeroRecipient();
    }
}
