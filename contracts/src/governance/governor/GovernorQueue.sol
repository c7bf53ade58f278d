// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IActRules} from "./IActRules.sol";

/// @title GovernorQueue
/// @notice Executes through the timelock, after a delay that each proposal has of its own.
/// @dev As OpenZeppelin's GovernorTimelockControl, but for three things. That one schedules everything with the timelock's
/// least delay, which anybody may then execute at the timelock itself. Its timelock can be changed; here it is fixed, as it is
/// in every contract that it governs. And here decisions age: who left the network's eye does not come back years later.
abstract contract GovernorQueue is Governor {
    TimelockController private immutable _timelock;

    mapping(uint256 proposalId => bytes32) private _operations;

    constructor(IActRules rules) {
        _timelock = TimelockController(payable(rules.timelock()));
    }

    /// @notice The TimelockController that governs the network.
    function timelock() public view returns (address) {
        return address(_timelock);
    }

    /// @inheritdoc IGovernor
    function proposalNeedsQueuing(uint256) public pure virtual override returns (bool) {
        return true;
    }

    /// @notice A proposal that was accepted and not queued in time is Expired; one that was queued is what the timelock says.
    function state(uint256 proposalId) public view virtual override returns (ProposalState current) {
        current = super.state(proposalId);
        if (current == ProposalState.Succeeded) {
            if (clock() > proposalDeadline(proposalId) + _queueWindow()) return ProposalState.Expired;
        } else if (current == ProposalState.Queued) {
            bytes32 operation = _operations[proposalId];
            // Whoever executed it at the timelock itself, executed it.
            if (_timelock.isOperationDone(operation)) return ProposalState.Executed;
            if (!_timelock.isOperationPending(operation)) return ProposalState.Canceled;
        }
    }

    /// @dev Seconds from the end of a vote in which its proposal must be queued.
    function _queueWindow() internal view virtual returns (uint256);

    /// @dev Seconds from the moment at which a proposal may be executed, after which anyone may cancel it.
    function _executionWindow() internal view virtual returns (uint256);

    /// @dev Seconds that a proposal waits in the timelock at the least.
    function _proposalDelay(uint256 proposalId) internal view virtual returns (uint256);

    function _executor() internal view virtual override returns (address) {
        return address(_timelock);
    }

    function _queueOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal virtual override returns (uint48) {
        uint256 delay = Math.max(_proposalDelay(proposalId), _timelock.getMinDelay());
        bytes32 salt = _saltOf(descriptionHash);
        _operations[proposalId] = _timelock.hashOperationBatch(targets, values, calldatas, 0, salt);
        _timelock.scheduleBatch(targets, values, calldatas, 0, salt, delay);
        return SafeCast.toUint48(block.timestamp + delay);
    }

    function _executeOperations(
        uint256,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal virtual override {
        _timelock.executeBatch{value: msg.value}(targets, values, calldatas, 0, _saltOf(descriptionHash));
    }

    function _cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal virtual override returns (uint256 proposalId) {
        proposalId = super._cancel(targets, values, calldatas, descriptionHash);
        bytes32 operation = _operations[proposalId];
        if (operation != 0) _timelock.cancel(operation);
    }

    /// @dev Beside who proposed it, before the vote: anyone, once it was left lying.
    function _validateCancel(uint256 proposalId, address caller) internal view virtual override returns (bool) {
        if (super._validateCancel(proposalId, caller)) return true;
        return state(proposalId) == ProposalState.Queued
            && clock() > proposalEta(proposalId) + _executionWindow();
    }

    /// @dev Of this Governor: another one's proposals in the same timelock never have the same id.
    function _saltOf(bytes32 descriptionHash) private view returns (bytes32) {
        return bytes20(address(this)) ^ descriptionHash;
    }
}
