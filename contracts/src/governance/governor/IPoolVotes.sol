// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import {IStakePools} from "../../staking/IStakePools.sol";
import {IStakeDelegates} from "./IStakeDelegates.sol";

interface IPoolVotesErrors {
    error PoolVotesParamsLength(uint256 length);
    error PoolVotesSupportMismatch(uint8 support, uint256 length);
    error PoolVotesTooManyStakes(uint256 stakes, uint256 maximum);
    error PoolVotesNotAscending(address account, address pool);
    error PoolVotesNotEntitled(address caller, address account, address voter);
    error PoolVotesNothingStaked(address account, address pool, uint256 timepoint);
    error PoolVotesStakeCounted(uint256 proposalId, address account, address pool);
    error PoolVotesNothingToCast(address voter, uint256 timepoint);
    error PoolVotesSplitEmpty(address voter);
    error PoolVotesSplitTooLarge(address voter, uint256 amount, uint256 left);
    error PoolVotesTreasury(address voter);
}

/// @title IPoolVotes
/// @notice Counts PHA and stake alike. A voter's weight is the PHA delegated to it (the token's votes), and the worth of each
/// stake that it names: an account's shares and unclaimed requests in one pool, at the proposal's snapshot.
/// @dev Params of a vote: packed pairs of 20 + 20 bytes (account, pool), ascending, for support 0, 1 and 2; before them, for
/// support 255, three amounts of 16 bytes (against, for, abstain), as in OpenZeppelin's fractional counting. Without pairs the
/// token's votes count alone. The account is the voter itself, or one that let it vote at the snapshot.
///
/// Each stake is counted at its first naming and never again; amounts may be cast in any number of parts. Support 0, 1 and 2
/// cast all that is left.
interface IPoolVotes is IPoolVotesErrors {
    /// @notice Whether a voter opened its ballot, and what it has not cast of what was counted for it so far.
    function ballotOf(uint256 proposalId, address voter) external view returns (bool opened, uint256 left);

    /// @notice Whether a stake was counted, whoever named it.
    function isStakeCounted(uint256 proposalId, address account, address pool) external view returns (bool);
    function proposalVotes(
        uint256 proposalId
    ) external view returns (uint256 againstVotes, uint256 forVotes, uint256 abstainVotes);

    function token() external view returns (IVotes);
    function stakePools() external view returns (IStakePools);
    function stakeDelegates() external view returns (IStakeDelegates);

    /// @notice How many stakes one vote may name.
    function MAX_STAKES() external view returns (uint256);
}
