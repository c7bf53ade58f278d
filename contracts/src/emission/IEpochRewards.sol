// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EpochRecord} from "../governance/EpochRecordLib.sol";
import {IFeeSink} from "../staking/IFeeSink.sol";
import {IEmission} from "./IEmission.sol";

interface IEpochRewardsTypes {
    /// @param left What of the epoch's own pot is not paid yet.
    /// @param claimableAt Unix seconds; 0 where the epoch is not open.
    /// @param forfeited The record awarded more than there was: the pot is empty for ever.
    struct Pot {
        // ### 1st slot
        bytes32 root;
        // ### 2nd slot
        uint128 left;
        uint64 claimableAt;
        bool blocked;
        bool forfeited;
    }

    /// @notice A pool's reward of an epoch.
    /// @param proof As in {IEpochRewards.claim}.
    struct Reward {
        address operator;
        uint256 amount;
        bytes32[] proof;
    }
}

interface IEpochRewardsErrors {
    error EpochRewardsWithoutCode(address account);
    error EpochRewardsRecordMismatch(uint64 epoch, bytes32 known, bytes32 given);
    error EpochRewardsAlreadyOpen(uint64 epoch);
    error EpochRewardsNotOpen(uint64 epoch);

    /// Claims
    error EpochRewardsNotClaimable(uint64 epoch, uint64 claimableAt, uint256 timestamp);
    error EpochRewardsBlocked(uint64 epoch);
    error EpochRewardsForfeited(uint64 epoch);
    error EpochRewardsAlreadyClaimed(uint64 epoch, address operator);
    error EpochRewardsNotInRoot(uint64 epoch, address operator, uint256 amount);
    error EpochRewardsBatchOutOfRange(uint256 length, uint256 maximum);
    error EpochRewardsPotExceeded(uint64 epoch, uint256 amount, uint256 left);

    error EpochRewardsNothingOwed(address operator);
    error EpochRewardsNotTaken(address operator, uint256 amount);
    error EpochRewardsCallerNotSelf(address caller);

    /// Blocking
    error EpochRewardsCallerMayNotBlock(address caller);
    error EpochRewardsWindowOver(uint64 epoch, uint64 claimableAt, uint256 timestamp);
    error EpochRewardsNotBlocked(uint64 epoch);
}

interface IEpochRewardsEvents {
    event EpochOpened(uint64 indexed epoch, bytes32 root, uint256 amount, uint64 claimableAt);
    event EpochForfeited(uint64 indexed epoch, uint256 awarded);
    event RewardClaimed(uint64 indexed epoch, address indexed operator, uint256 amount);

    /// @param toPool Whether the operator's pool took it, and not the operator itself.
    event RewardPaid(address indexed operator, uint256 amount, bool toPool);

    /// @notice A claimed reward could not be handed over: it is owed, see {IEpochRewards.collect}.
    event RewardHeld(address indexed operator, uint256 amount);
    event EpochBlocked(uint64 indexed epoch, address indexed by);
    event EpochLifted(uint64 indexed epoch);
    event EpochVoided(uint64 indexed epoch, uint256 burnt);
    event GuardianSet(address guardian);
    event FeeSinkSet(address feeSink);
}

/// @title IEpochRewards
/// @notice Each epoch's rewards in a pot of their own: claimable from one epoch after it was filled, for ever. Anyone may
/// push a claim; it pays whom the leaf names.
interface IEpochRewards is IEpochRewardsTypes, IEpochRewardsErrors, IEpochRewardsEvents {
    /// @notice Fills the pot of an epoch whose record was posted, with what the record awards. Anyone, in any order. Of a record
    /// that awards more than {IEmission.workersBudgetOf} the pot stays empty for ever.
    function open(EpochRecord calldata record) external;

    /// @notice Pays a pool's reward into the pool, or to the operator where it has none. Anyone, once. Where neither takes it,
    /// it is claimed and stays owed.
    /// @param proof Of the leaf H("cloister/reward: v1", epoch, operator, amount) in the record's rewards.
    function claim(uint64 epoch, address operator, uint256 amount, bytes32[] calldata proof) external;

    /// @notice The same for many pools of one epoch. Anyone. A reward that {claim} would refuse (claimed before, not in the
    /// root, more than the pot has) is passed over, and so stops none of the others.
    /// @param rewards At most MAX_BATCH.
    /// @return claimed How many were not passed over.
    function claimMany(uint64 epoch, Reward[] calldata rewards) external returns (uint256 claimed);

    /// @notice Hands over what an operator is owed of claims whose payment failed. Anyone; errors of the pools pass through.
    function collect(address operator) external;

    /// @notice Stops an epoch's claims before the first. Guardian or timelock.
    function blockEpoch(uint64 epoch) external;

    /// @notice Lets a blocked epoch's claims go on. Timelock only.
    function lift(uint64 epoch) external;

    /// @notice Burns a blocked epoch's pot: it is never issued anew. Timelock only.
    function voidEpoch(uint64 epoch) external;

    /// @notice Who besides the timelock may block; the zero address: nobody. Timelock only.
    function setGuardian(address guardian) external;

    /// @notice Where pools are; the zero address: all is paid to operators. Timelock only.
    function setFeeSink(IFeeSink feeSink) external;

    function potOf(uint64 epoch) external view returns (Pot memory);
    function isClaimed(uint64 epoch, address operator) external view returns (bool);
    function owed(address operator) external view returns (uint256);
    function guardian() external view returns (address);
    function feeSink() external view returns (IFeeSink);
    function emission() external view returns (IEmission);
    function MAX_BATCH() external view returns (uint256);
}
