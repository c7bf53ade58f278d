// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IStakePools} from "../../staking/IStakePools.sol";
import {Acts, Weight} from "./Acts.sol";
import {IActRules} from "./IActRules.sol";

/// @title ActRules
contract ActRules is IActRules {
    /// @inheritdoc IActRules
    uint32 public constant MIN_DAY = 1 minutes;

    /// @inheritdoc IActRules
    uint32 public constant MAX_DAY = 1 days;

    /// @inheritdoc IActRules
    uint256 public constant ORDINARY_DAYS = 2;

    /// @inheritdoc IActRules
    uint256 public constant DANGEROUS_DAYS = 7;

    /// @inheritdoc IActRules
    uint256 public constant MAX_TIMELOCK_DAYS = 60;

    /// @inheritdoc IActRules
    uint32 public immutable day;

    /// @inheritdoc IActRules
    address public immutable timelock;

    /// @inheritdoc IActRules
    address public immutable token;

    /// @inheritdoc IActRules
    IStakePools public immutable stakePools;

    /// @inheritdoc IActRules
    address public immutable payments;

    /// @inheritdoc IActRules
    address public immutable gatekeeperImages;

    /// @inheritdoc IActRules
    uint256 public immutable longestExit;

    /// @inheritdoc IActRules
    uint256 public immutable longestPayout;

    constructor(ActRulesInit memory init) {
        if (init.day < MIN_DAY || init.day > MAX_DAY) revert ActRulesDayOutOfRange(init.day, MIN_DAY, MAX_DAY);
        if (init.timelock.code.length == 0) revert ActRulesWithoutCode(init.timelock);
        if (init.gatekeeperImages.code.length == 0) revert ActRulesWithoutCode(init.gatekeeperImages);
        day = init.day;
        timelock = init.timelock;
        token = address(init.stakePools.token());
        stakePools = init.stakePools;
        payments = address(init.payments);
        gatekeeperImages = init.gatekeeperImages;
        // Bonds that keep a request come free after another unbonding, and a pause may begin just before.
        uint256 exit = 2 * uint256(init.stakePools.unbonding()) + init.stakePools.maxPause();
        longestExit = Math.max(exit, init.depositBond.withdrawalDelay());
        longestPayout = init.payments.withdrawalDelay();
    }

    /// @inheritdoc IActRules
    function ruleOf(address target, bytes calldata data) external view returns (bool dangerous, uint256 delay) {
        // What is shorter is filled up with zeros: no selector that is named anywhere ends in one.
        bytes4 selector = bytes4(data);
        // Who won once could keep on winning by the treasury's votes.
        if (target == token && selector == IVotes.delegate.selector) revert ActRulesTreasuryDelegates();
        if (target == timelock && selector == TimelockController.updateDelay.selector) _checkTimelockDelay(data);
        Weight memory weight = Acts.weightOf(selector);
        // Whose image runs as a gatekeeper holds a part of the network's keys.
        dangerous = weight.dangerous || (target == gatekeeperImages && !Acts.stops(selector));
        delay = (dangerous ? DANGEROUS_DAYS : ORDINARY_DAYS) * day;
        if (weight.stake) delay = Math.max(delay, longestExit + day);
        if (target == payments) delay = Math.max(delay, longestPayout + day);
    }

    function _checkTimelockDelay(bytes calldata data) private view {
        // With less than a word the timelock refuses the call itself.
        if (data.length < 36) return;
        uint256 newDelay = uint256(bytes32(data[4:36]));
        uint256 maximum = MAX_TIMELOCK_DAYS * day;
        if (newDelay > maximum) revert ActRulesTimelockDelayTooLong(newDelay, maximum);
    }
}
