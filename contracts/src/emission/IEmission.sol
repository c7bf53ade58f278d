// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEpochRecords} from "../governance/IEpochRecords.sol";
import {IEmittedPha} from "./IEmittedPha.sol";

interface IEmissionTypes {
    /// @notice Who gets parts of each epoch's emission besides the workers.
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

    /// Minting
    error EmissionCallerNotRewards(address caller, address rewards);
    error EmissionNoRecord(uint64 epoch);
    error EmissionAlreadyMinted(uint64 epoch);
    error EmissionBudgetExceeded(uint64 epoch, uint256 wanted, uint256 budget);
}

interface IEmissionEvents {
    event EpochMinted(uint64 indexed epoch, uint256 toWorkers, uint256 toTreasury, uint256 toGatekeepers);
    event RewardsSet(address rewards);
    event SplitSet(IEmissionTypes.EmissionSplit split);
}

/// @title IEmission
/// @notice The one issuer of new PHA, by a schedule that is fixed for ever: once for each epoch that has a record.
/// @dev An epoch's budget depends on it and on the record before alone, so epochs may be minted in any order.
interface IEmission is IEmissionTypes, IEmissionErrors, IEmissionEvents {
    /// @notice Mints an epoch's parts. The rewards contract alone, once for each epoch.
    /// @param toWorkers What its record awards; what roundings left of the workers' part is never minted.
    function mintEpoch(uint64 epoch, uint256 toWorkers) external;

    /// @notice Who may mint, and gets the workers' part. Timelock only.
    function setRewards(address rewards) external;

    /// @notice For epochs that are minted from now on. Timelock only.
    function setSplit(EmissionSplit calldata split) external;

    /// @notice What an epoch with a record may bring: of its own time, and of the epoch's before where that has no record.
    /// Zero without a record.
    function budgetOf(uint64 epoch) external view returns (uint256);

    /// @notice All that the schedule brings in its first seconds, rounded down.
    function emittedAfter(uint256 elapsed) external pure returns (uint256);
    function isMinted(uint64 epoch) external view returns (bool);
    function split() external view returns (EmissionSplit memory);
    function rewards() external view returns (address);
    function token() external view returns (IEmittedPha);
    function records() external view returns (IEpochRecords);
}
