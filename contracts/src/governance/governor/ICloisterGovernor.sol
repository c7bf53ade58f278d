// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IActRules} from "./IActRules.sol";
import {IBridgedSupply} from "./IBridgedSupply.sol";

interface ICloisterGovernorTypes {
    /// @notice What governance may change, within bounds. Days are those of {IActRules.day}.
    /// @param votingDelay Seconds from a proposal to its snapshot: 1 to 14 days.
    /// @param votingPeriod Seconds of the vote: 3 to 21 days.
    /// @param voteExtension Seconds that a vote goes on at the least once its quorum is reached: 1 to 3 days.
    /// @param proposalThreshold Votes that a proposal takes: 1,000 to 1,000,000 PHA.
    /// @param quorumBps Of all PHA, for and abstain: 2 to 20 %.
    /// @param superQuorumBps Of all PHA, for alone: 10 to 40 %, and twice the quorum at the least.
    struct GovernorRulesInit {
        uint48 votingDelay;
        uint32 votingPeriod;
        uint48 voteExtension;
        uint256 proposalThreshold;
        uint16 quorumBps;
        uint16 superQuorumBps;
    }

    /// @notice What a proposal must reach, fixed when it is proposed.
    /// @param needed Votes: for and abstain, or for alone where it is dangerous.
    /// @param delay Seconds in the timelock, at the least.
    struct ProposalTerms {
        // ### 1st slot
        bool dangerous;
        uint32 delay;
        uint128 needed;
    }
}

interface ICloisterGovernorErrors {
    error CloisterGovernorWithoutCode(address account);
    error CloisterGovernorRuleOutOfRange(bytes32 rule, uint256 value, uint256 minimum, uint256 maximum);
    error CloisterGovernorSuperQuorumTooSmall(uint256 superQuorumBps, uint256 minimum);
    error CloisterGovernorTooLittleGas(uint256 gas, uint256 needed);

    /// Proposing
    error CloisterGovernorTooManyActs(uint256 acts, uint256 maximum);
    error CloisterGovernorDescriptionTooLong(uint256 length, uint256 maximum);
    error CloisterGovernorCallsTooLong(uint256 length, uint256 maximum);

    error CloisterGovernorRelaysNothing();
}

interface ICloisterGovernorEvents {
    event ProposalTermsSet(uint256 indexed proposalId, bool dangerous, uint256 needed, uint256 delay);
    event QuorumsSet(uint16 quorumBps, uint16 superQuorumBps);
    event BridgedSupplySet(address bridge);
}

/// @title ICloisterGovernor
/// @notice What the network's Governor has beyond OpenZeppelin's: an act's weight decides how many votes its proposal takes and
/// how long it waits. The heaviest act of a proposal counts.
interface ICloisterGovernor is ICloisterGovernorTypes, ICloisterGovernorErrors, ICloisterGovernorEvents {
    /// @notice Proposes by the weight of stake.
    /// @param stakes Packed pairs (account, pool) as of a vote ({IPoolVotes}).
    function proposeWithStake(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        string memory description,
        bytes memory stakes
    ) external returns (uint256 proposalId);

    /// @notice Zero for a proposal that is unknown.
    function termsOf(uint256 proposalId) external view returns (ProposalTerms memory);

    /// @notice Sets both quorums, for later proposals. A proposal of this Governor only.
    function setQuorums(uint16 quorumBps, uint16 superQuorumBps) external;

    /// @notice Names the contract that says what is out on other chains; zero for none. A proposal of this Governor only.
    function setBridgedSupply(IBridgedSupply bridge) external;

    /// @notice Votes, for alone, that a dangerous act takes.
    function superQuorum(uint256 timepoint) external view returns (uint256);

    /// @notice What quorums are parts of: the supply at home and what is out on other chains, at most what may ever be issued.
    function allPha(uint256 timepoint) external view returns (uint256);
    function quorumBps() external view returns (uint16);
    function superQuorumBps() external view returns (uint16);
    function bridgedSupply() external view returns (IBridgedSupply);

    /// @notice What says how heavy each act is.
    function actRules() external view returns (IActRules);
    function MAX_ACTS() external view returns (uint256);

    /// @notice Bytes.
    function MAX_DESCRIPTION() external view returns (uint256);

    /// @notice Bytes of all calldata of a proposal.
    function MAX_CALLS() external view returns (uint256);
}
