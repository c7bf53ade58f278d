// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEpochRecords} from "../governance/IEpochRecords.sol";
import {IEmittedPha} from "./IEmittedPha.sol";

interface IEmissionTypes {
    /// @notice Who gets parts of an epoch's emission besides the workers.
    /// @param treasuryBps In ten-thousandths, rounded down; likewise `gatekeepersBps`.
    struct EmissionSplit {
        address treasury;
        uint16 treasuryBps;
        address gatekeepers;
        uint16 gatekeepersBps;
    }
}

interface IEmissionErrors {
    error EmissionWithoutCode(address account);
    error EmissionNotMinter(address minter);
    error EmissionCapTooSmall(uint256 left, uint256 needed);
    error EmissionShareTooLarge(uint16 bps, uint16 maximum);
    error EmissionZeroRecipient();
    error EmissionSplitTooEarly(uint64 fromEpoch, uint256 earliest);

    /// Minting
    error EmissionCallerNotRewards(address caller, address rewards);
    error EmissionNoRecord(uint64 epoch);
    error EmissionAlreadyMinted(uint64 epoch);
}

interface IEmissionEvents {
    event EpochMinted(uint64 indexed epoch, uint256 toWorkers, uint256 toTreasury, uint256 toGatekeepers);

    /// @notice The epoch's record awards more than the workers' part: nothing of it is ever minted.
    event EpochForfeited(uint64 indexed epoch, uint256 awarded, uint256 ofWorkers);
    event RewardsSet(address rewards);
    event SplitSet(uint64 indexed fromEpoch, IEmissionTypes.EmissionSplit split);
}

/// @title IEmission
/// @notice The one issuer of new PHA, by a schedule that is fixed for ever: once for each epoch that has a record.
/// @dev An epoch's budget depends on it and on the record before alone, and its split stands fast before it begins: so epochs
/// may be minted in any order, at any time, and members know what a record may award when they compute it.
interface IEmission is IEmissionTypes, IEmissionErrors, IEmissionEvents {
    /// @notice Mints an epoch's parts. The rewards contract alone, once for each epoch.
    /// @param toWorkers What its record awards; what roundings left of the workers' part is never minted.
    /// @return minted False where the record awards more than the workers' part. Then nobody gets anything of this epoch,
    /// now or later; other epochs are not touched by it.
    function mintEpoch(uint64 epoch, uint256 toWorkers) external returns (bool minted);

    /// @notice Who may mint, and gets the workers' part. Timelock only.
    function setRewards(address rewards) external;

    /// @notice Sets the split of an epoch and of those after it, in place of all that was set for them before. Timelock only.
    /// @param fromEpoch Has not begun yet.
    function setSplit(uint64 fromEpoch, EmissionSplit calldata split) external;

    /// @notice What an epoch with a record may bring: of its own time, and of the epoch's before where that has no record.
    /// Zero without a record.
    function budgetOf(uint64 epoch) external view returns (uint256);

    /// @notice All that the schedule brings in its first seconds, rounded down.
    function emittedAfter(uint256 elapsed) external pure returns (uint256);

    /// @notice Whether an epoch was minted, or forfeited.
    function isMinted(uint64 epoch) external view returns (bool);

    /// @notice An epoch's split, which no longer changes once the epoch has begun. Before the first: all is the workers'.
    function splitOf(uint64 epoch) external view returns (EmissionSplit memory);

    /// @notice The workers' part of what an epoch may bring: the most that its record may award.
    function workersBudgetOf(uint64 epoch) external view returns (uint256);
    function rewards() external view returns (address);
    function token() external view returns (IEmittedPha);
    function records() external view returns (IEpochRecords);
}
