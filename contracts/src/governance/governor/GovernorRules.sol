// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {GovernorPreventLateQuorum} from "@openzeppelin/contracts/governance/extensions/GovernorPreventLateQuorum.sol";
import {GovernorSettings} from "@openzeppelin/contracts/governance/extensions/GovernorSettings.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {GovernorActs} from "./GovernorActs.sol";
import {IBridgedSupply} from "./IBridgedSupply.sol";
import {ICloisterGovernor} from "./ICloisterGovernor.sol";

/// @title GovernorRules
/// @notice What voting goes by: OpenZeppelin's settings, each within bounds that no proposal moves, and the quorums.
abstract contract GovernorRules is GovernorActs, GovernorSettings, GovernorPreventLateQuorum {
    uint256 private constant BPS = 10_000;
    /// @dev For the question to the bridge. It reads a history; a bridge that needs more is taken for one that fails.
    uint256 private constant BRIDGE_GAS = 200_000;

    /// @inheritdoc ICloisterGovernor
    uint16 public quorumBps;

    /// @inheritdoc ICloisterGovernor
    uint16 public superQuorumBps;

    /// @inheritdoc ICloisterGovernor
    IBridgedSupply public bridgedSupply;

    constructor(GovernorRulesInit memory init)
        GovernorSettings(init.votingDelay, init.votingPeriod, init.proposalThreshold)
        GovernorPreventLateQuorum(init.voteExtension)
    {
        _setQuorums(init.quorumBps, init.superQuorumBps);
    }

    /// @inheritdoc ICloisterGovernor
    function setQuorums(uint16 quorumBps_, uint16 superQuorumBps_) external onlyGovernance {
        _setQuorums(quorumBps_, superQuorumBps_);
    }

    /// @inheritdoc ICloisterGovernor
    function setBridgedSupply(IBridgedSupply bridge) external onlyGovernance {
        if (address(bridge) != address(0) && address(bridge).code.length == 0) {
            revert CloisterGovernorWithoutCode(address(bridge));
        }
        bridgedSupply = bridge;
        emit BridgedSupplySet(address(bridge));
    }

    /// @inheritdoc IGovernor
    function quorum(uint256 timepoint) public view override returns (uint256) {
        return Math.mulDiv(allPha(timepoint), quorumBps, BPS, Math.Rounding.Ceil);
    }

    /// @inheritdoc ICloisterGovernor
    function superQuorum(uint256 timepoint) public view returns (uint256) {
        return Math.mulDiv(allPha(timepoint), superQuorumBps, BPS, Math.Rounding.Ceil);
    }

    /// @inheritdoc ICloisterGovernor
    function allPha(uint256 timepoint) public view returns (uint256) {
        (uint256 home, uint256 cap) = _supplyAt(timepoint);
        return Math.min(home + _bridgedOut(timepoint, cap), cap);
    }

    function proposalThreshold() public view virtual override(Governor, GovernorSettings) returns (uint256) {
        return super.proposalThreshold();
    }

    function proposalDeadline(uint256 proposalId)
        public
        view
        virtual
        override(Governor, GovernorPreventLateQuorum)
        returns (uint256)
    {
        return super.proposalDeadline(proposalId);
    }

    function _tallyUpdated(uint256 proposalId) internal virtual override(Governor, GovernorPreventLateQuorum) {
        super._tallyUpdated(proposalId);
    }

    /// @dev What is at home, and the most that can ever be anywhere.
    function _supplyAt(uint256 timepoint) internal view virtual returns (uint256 home, uint256 cap);

    function _setVotingDelay(uint48 value) internal override {
        _checkRule("votingDelay", value, _day, 14 * _day);
        super._setVotingDelay(value);
    }

    function _setVotingPeriod(uint32 value) internal override {
        _checkRule("votingPeriod", value, 3 * _day, 21 * _day);
        super._setVotingPeriod(value);
    }

    function _setLateQuorumVoteExtension(uint48 value) internal override {
        _checkRule("voteExtension", value, _day, 3 * _day);
        super._setLateQuorumVoteExtension(value);
    }

    function _setProposalThreshold(uint256 value) internal override {
        _checkRule("proposalThreshold", value, 1_000e18, 1_000_000e18);
        super._setProposalThreshold(value);
    }

    function _setQuorums(uint16 quorumBps_, uint16 superQuorumBps_) private {
        _checkRule("quorumBps", quorumBps_, 200, 2_000);
        _checkRule("superQuorumBps", superQuorumBps_, 1_000, 4_000);
        if (superQuorumBps_ < 2 * uint256(quorumBps_)) {
            revert CloisterGovernorSuperQuorumTooSmall(superQuorumBps_, 2 * uint256(quorumBps_));
        }
        (quorumBps, superQuorumBps) = (quorumBps_, superQuorumBps_);
        emit QuorumsSet(quorumBps_, superQuorumBps_);
    }

    function _checkRule(bytes32 rule, uint256 value, uint256 minimum, uint256 maximum) private pure {
        if (value < minimum || value > maximum) {
            revert CloisterGovernorRuleOutOfRange(rule, value, minimum, maximum);
        }
    }

    /// @dev A bridge that fails, or says more than there can be, makes quorums as high as they can get. It can't stop votes.
    function _bridgedOut(uint256 timepoint, uint256 cap) private view returns (uint256) {
        address bridge = address(bridgedSupply);
        if (bridge == address(0)) return 0;
        // Who asks must not be able to make it fail by giving too little gas: 63 of 64 parts go along with a call.
        if (gasleft() < 2 * BRIDGE_GAS) revert CloisterGovernorTooLittleGas(gasleft(), 2 * BRIDGE_GAS);
        (bool ok, bytes memory answer) =
            bridge.staticcall{gas: BRIDGE_GAS}(abi.encodeCall(IBridgedSupply.bridgedOutAt, (timepoint)));
        if (!ok || answer.length != 32) return cap;
        return Math.min(abi.decode(answer, (uint256)), cap);
    }
}
