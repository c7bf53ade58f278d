// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IStakePools} from "../../staking/IStakePools.sol";
import {IActRules} from "./IActRules.sol";
import {IPoolVotes} from "./IPoolVotes.sol";
import {IStakeDelegates} from "./IStakeDelegates.sol";

/// @title PoolVotes
/// @notice Counting module of a Governor.
/// @dev Nothing iterates over holders or pools: only over the stakes that a vote names. All calls out are views of contracts
/// that are fixed for ever.
abstract contract PoolVotes is Governor, IPoolVotes {
    struct Ballot {
        // ### 1st slot
        bool opened;
        uint128 left;
    }

    struct Tally {
        // ### 1st slot
        uint128 inFavour;
        uint128 abstained;
        // ### 2nd slot
        uint128 against;
    }

    uint8 private constant AGAINST = 0;
    uint8 private constant FOR = 1;
    uint8 private constant ABSTAIN = 2;
    uint8 private constant SPLIT = 255;
    uint256 private constant AMOUNTS_BYTES = 48;
    uint256 private constant PAIR_BYTES = 40;

    /// @inheritdoc IPoolVotes
    uint256 public constant MAX_STAKES = 64;

    /// @inheritdoc IPoolVotes
    IVotes public immutable token;

    /// @inheritdoc IPoolVotes
    IStakePools public immutable stakePools;

    /// @inheritdoc IPoolVotes
    IStakeDelegates public immutable stakeDelegates;

    mapping(uint256 proposalId => Tally) private _tallies;
    mapping(uint256 proposalId => mapping(address voter => Ballot)) private _ballots;
    mapping(uint256 proposalId => mapping(address account => mapping(address pool => bool))) private _counted;

    constructor(IActRules rules, IStakeDelegates delegates) {
        token = IVotes(rules.token());
        stakePools = rules.stakePools();
        stakeDelegates = delegates;
    }

    /// @inheritdoc IPoolVotes
    function ballotOf(uint256 proposalId, address voter) external view returns (bool opened, uint256 left) {
        Ballot memory ballot = _ballots[proposalId][voter];
        return (ballot.opened, ballot.left);
    }

    /// @inheritdoc IPoolVotes
    function isStakeCounted(uint256 proposalId, address account, address pool) external view returns (bool) {
        return _counted[proposalId][account][pool];
    }

    /// @inheritdoc IGovernor
    function hasVoted(uint256 proposalId, address account) external view returns (bool) {
        return _ballots[proposalId][account].opened;
    }

    /// @inheritdoc IPoolVotes
    function proposalVotes(
        uint256 proposalId
    ) public view returns (uint256 againstVotes, uint256 forVotes, uint256 abstainVotes) {
        Tally storage tally = _tallies[proposalId];
        return (tally.against, tally.inFavour, tally.abstained);
    }

    /// @inheritdoc IGovernor
    // solhint-disable-next-line func-name-mixedcase
    function COUNTING_MODE() external pure returns (string memory) {
        return "support=bravo,fractional&quorum=for,abstain&params=fractional,stakes";
    }

    /// @dev What the treasury holds votes nowhere: else whoever wins once could keep on winning by it.
    function _getVotes(
        address voter,
        uint256 timepoint,
        bytes memory params
    ) internal view override returns (uint256 votes) {
        if (voter == _executor()) revert PoolVotesTreasury(voter);
        votes = token.getPastVotes(voter, timepoint);
        (address account, address pool) = (address(0), address(0));
        for (uint256 offset = _stakesAt(params); offset < params.length; offset += PAIR_BYTES) {
            (address before, address poolBefore) = (account, pool);
            (account, pool) = _pairAt(params, offset);
            if (account < before || (account == before && pool <= poolBefore)) {
                revert PoolVotesNotAscending(account, pool);
            }
            votes += _stakeOf(voter, account, pool, timepoint);
        }
    }

    function _countVote(
        uint256 proposalId,
        address voter,
        uint8 support,
        uint256 weight,
        bytes memory params
    ) internal override returns (uint256 used) {
        if (support > ABSTAIN && support != SPLIT) revert GovernorInvalidVoteType();
        uint256 stakesAt = _stakesAt(params);
        if ((support == SPLIT) != (stakesAt != 0)) revert PoolVotesSupportMismatch(support, params.length);
        for (uint256 offset = stakesAt; offset < params.length; offset += PAIR_BYTES) {
            (address account, address pool) = _pairAt(params, offset);
            if (_counted[proposalId][account][pool]) revert PoolVotesStakeCounted(proposalId, account, pool);
            _counted[proposalId][account][pool] = true;
        }
        Ballot storage ballot = _ballots[proposalId][voter];
        uint256 left = _leftOf(ballot, proposalId, voter, weight);
        Tally storage tally = _tallies[proposalId];
        if (support == SPLIT) {
            used = _countSplit(tally, voter, left, params);
        } else {
            used = left;
            // No truncation: all votes are parts of the PHA there is, below 2^128.
            if (support == AGAINST) tally.against += uint128(used);
            else if (support == FOR) tally.inFavour += uint128(used);
            else tally.abstained += uint128(used);
        }
        ballot.opened = true;
        ballot.left = SafeCast.toUint128(left - used);
    }

    /// @dev What a voter may cast now: what is left of earlier casts, and what this one names. The token's votes are in every
    /// weight, and count once.
    function _leftOf(
        Ballot storage ballot,
        uint256 proposalId,
        address voter,
        uint256 weight
    ) private view returns (uint256 left) {
        uint256 snapshot = proposalSnapshot(proposalId);
        if (!ballot.opened) {
            if (weight == 0) revert PoolVotesNothingToCast(voter, snapshot);
            return weight;
        }
        left = ballot.left + weight - token.getPastVotes(voter, snapshot);
        if (left == 0) revert GovernorAlreadyCastVote(voter);
    }

    function _countSplit(
        Tally storage tally,
        address voter,
        uint256 left,
        bytes memory params
    ) private returns (uint256 used) {
        (uint128 against, uint128 inFavour, uint128 abstained) = _amountsOf(params);
        used = uint256(against) + inFavour + abstained;
        if (used == 0) revert PoolVotesSplitEmpty(voter);
        if (used > left) revert PoolVotesSplitTooLarge(voter, used, left);
        tally.against += against;
        tally.inFavour += inFavour;
        tally.abstained += abstained;
    }

    /// @dev The worth of a stake, where it is the voter's to cast.
    function _stakeOf(
        address voter,
        address account,
        address pool,
        uint256 timepoint
    ) private view returns (uint256 votes) {
        if (account == _executor()) revert PoolVotesTreasury(account);
        address entitled = stakeDelegates.pastVoterOf(account, timepoint);
        if (entitled != voter) revert PoolVotesNotEntitled(voter, account, entitled);
        votes = stakePools.getPastVotes(account, pool, timepoint);
        if (votes == 0) revert PoolVotesNothingStaked(account, pool, timepoint);
    }

    /// @dev Where the pairs begin: behind the amounts, if there are any. The length tells.
    function _stakesAt(bytes memory params) private pure returns (uint256 start) {
        uint256 length = params.length;
        if (length % PAIR_BYTES == AMOUNTS_BYTES % PAIR_BYTES && length >= AMOUNTS_BYTES) start = AMOUNTS_BYTES;
        if ((length - start) % PAIR_BYTES != 0) revert PoolVotesParamsLength(length);
        uint256 stakes = (length - start) / PAIR_BYTES;
        if (stakes > MAX_STAKES) revert PoolVotesTooManyStakes(stakes, MAX_STAKES);
    }

    /// @dev The caller has checked that the pair lies inside.
    function _pairAt(bytes memory params, uint256 offset) private pure returns (address account, address pool) {
        assembly ("memory-safe") {
            let start := add(add(params, 0x20), offset)
            account := shr(96, mload(start))
            pool := shr(96, mload(add(start, 20)))
        }
    }

    /// @dev The caller has checked that there are amounts.
    function _amountsOf(
        bytes memory params
    ) private pure returns (uint128 against, uint128 inFavour, uint128 abstained) {
        assembly ("memory-safe") {
            against := shr(128, mload(add(params, 0x20)))
            inFavour := shr(128, mload(add(params, 0x30)))
            abstained := shr(128, mload(add(params, 0x40)))
        }
    }
}
