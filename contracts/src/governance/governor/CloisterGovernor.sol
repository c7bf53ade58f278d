// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {IERC6372} from "@openzeppelin/contracts/interfaces/IERC6372.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";

import {IPhaToken} from "../../token/IPhaToken.sol";
import {GovernorActs} from "./GovernorActs.sol";
import {GovernorQueue} from "./GovernorQueue.sol";
import {GovernorRules} from "./GovernorRules.sol";
import {IActRules} from "./IActRules.sol";
import {ICloisterGovernor} from "./ICloisterGovernor.sol";
import {IStakeDelegates} from "./IStakeDelegates.sol";
import {PoolVotes} from "./PoolVotes.sol";

/// @title CloisterGovernor
/// @notice The holders of PHA, staked or not, as the one proposer of the network's timelock.
/// @dev It owns nothing itself. Its parameters change by its own proposals alone ({Governor} keeps the timelock from calling it
/// on anyone else's).
contract CloisterGovernor is GovernorActs, PoolVotes, GovernorRules, GovernorQueue {
    uint256 private constant QUEUE_DAYS = 14;
    uint256 private constant EXECUTION_DAYS = 14;

    /// @inheritdoc ICloisterGovernor
    uint256 public constant MAX_ACTS = 32;

    /// @inheritdoc ICloisterGovernor
    uint256 public constant MAX_DESCRIPTION = 16_384;

    /// @inheritdoc ICloisterGovernor
    uint256 public constant MAX_CALLS = 32_768;

    mapping(uint256 proposalId => ProposalTerms) private _terms;

    /// @param rules Names the timelock and the pools as well.
    constructor(IActRules rules, IStakeDelegates delegates, GovernorRulesInit memory init)
        Governor("Cloister")
        GovernorActs(rules)
        PoolVotes(rules, delegates)
        GovernorRules(init)
        GovernorQueue(rules)
    {
        if (address(delegates).code.length == 0) revert CloisterGovernorWithoutCode(address(delegates));
    }

    /// @inheritdoc ICloisterGovernor
    function proposeWithStake(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        string memory description,
        bytes memory stakes
    ) external returns (uint256) {
        if (!_isValidDescriptionForProposer(msg.sender, description)) revert GovernorRestrictedProposer(msg.sender);
        uint256 votes = _getVotes(msg.sender, clock() - 1, stakes);
        uint256 needed = proposalThreshold();
        if (votes < needed) revert GovernorInsufficientProposerVotes(msg.sender, votes, needed);
        return _propose(targets, values, calldatas, description, msg.sender);
    }

    /// @notice Refuses: what is sent here is nobody's, and calls go out from the timelock alone, after their delay.
    function relay(address, uint256, bytes calldata) public payable override {
        revert CloisterGovernorRelaysNothing();
    }

    /// @inheritdoc ICloisterGovernor
    function termsOf(uint256 proposalId) external view returns (ProposalTerms memory) {
        return _terms[proposalId];
    }

    /// @inheritdoc IERC6372
    function clock() public view override returns (uint48) {
        return Time.timestamp();
    }

    /// @inheritdoc IERC6372
    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    /// @dev What it takes stands fast from here on: parameters that change later do not change it.
    function _propose(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        string memory description,
        address proposer
    ) internal override returns (uint256 proposalId) {
        if (targets.length > MAX_ACTS) revert CloisterGovernorTooManyActs(targets.length, MAX_ACTS);
        uint256 length = bytes(description).length;
        if (length > MAX_DESCRIPTION) revert CloisterGovernorDescriptionTooLong(length, MAX_DESCRIPTION);
        proposalId = super._propose(targets, values, calldatas, description, proposer);
        ProposalTerms memory terms = _termsFor(targets, calldatas);
        _terms[proposalId] = terms;
        emit ProposalTermsSet(proposalId, terms.dangerous, terms.needed, terms.delay);
    }

    function _termsFor(
        address[] memory targets,
        bytes[] memory calldatas
    ) private view returns (ProposalTerms memory terms) {
        uint256 length;
        uint256 longest;
        for (uint256 i = 0; i < targets.length; ++i) {
            length += calldatas[i].length;
            (bool dangerous, uint256 delay) = actRules.ruleOf(targets[i], calldatas[i]);
            if (dangerous) terms.dangerous = true;
            longest = Math.max(longest, delay);
        }
        if (length > MAX_CALLS) revert CloisterGovernorCallsTooLong(length, MAX_CALLS);
        uint256 timepoint = clock() - 1;
        terms.delay = SafeCast.toUint32(longest);
        terms.needed = SafeCast.toUint128(terms.dangerous ? superQuorum(timepoint) : quorum(timepoint));
    }

    function _quorumReached(uint256 proposalId) internal view override returns (bool) {
        ProposalTerms memory terms = _terms[proposalId];
        (, uint256 inFavour, uint256 abstained) = proposalVotes(proposalId);
        return (terms.dangerous ? inFavour : inFavour + abstained) >= terms.needed;
    }

    function _voteSucceeded(uint256 proposalId) internal view override returns (bool) {
        (uint256 against, uint256 inFavour,) = proposalVotes(proposalId);
        return inFavour > against && (!_terms[proposalId].dangerous || inFavour >= 2 * against);
    }

    function _proposalDelay(uint256 proposalId) internal view override returns (uint256) {
        return _terms[proposalId].delay;
    }

    function _queueWindow() internal view override returns (uint256) {
        return QUEUE_DAYS * _day;
    }

    function _executionWindow() internal view override returns (uint256) {
        return EXECUTION_DAYS * _day;
    }

    function _supplyAt(uint256 timepoint) internal view override returns (uint256 home, uint256 cap) {
        return (token.getPastTotalSupply(timepoint), IPhaToken(address(token)).ISSUE_CAP());
    }

    // What follows is one module's alone each: Solidity asks which of its bases a contract means.

    function state(uint256 proposalId) public view override(Governor, GovernorQueue) returns (ProposalState) {
        return super.state(proposalId);
    }

    function proposalNeedsQueuing(uint256 proposalId)
        public
        pure
        override(Governor, GovernorQueue)
        returns (bool)
    {
        return super.proposalNeedsQueuing(proposalId);
    }

    function proposalThreshold() public view override(Governor, GovernorRules) returns (uint256) {
        return super.proposalThreshold();
    }

    function proposalDeadline(uint256 proposalId) public view override(Governor, GovernorRules) returns (uint256) {
        return super.proposalDeadline(proposalId);
    }

    function _tallyUpdated(uint256 proposalId) internal override(Governor, GovernorRules) {
        super._tallyUpdated(proposalId);
    }

    function _cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorQueue) returns (uint256) {
        return super._cancel(targets, values, calldatas, descriptionHash);
    }

    function _executor() internal view override(Governor, GovernorQueue) returns (address) {
        return super._executor();
    }

    function _executeOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorQueue) {
        super._executeOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _queueOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorQueue) returns (uint48) {
        return super._queueOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _validateCancel(
        uint256 proposalId,
        address caller
    ) internal view override(Governor, GovernorQueue) returns (bool) {
        return super._validateCancel(proposalId, caller);
    }
}
