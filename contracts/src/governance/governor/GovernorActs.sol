// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IActRules} from "./IActRules.sol";
import {ICloisterGovernor} from "./ICloisterGovernor.sol";

/// @title GovernorActs
/// @notice The rules that a Governor has for ever, and their day.
abstract contract GovernorActs is ICloisterGovernor {
    /// @inheritdoc ICloisterGovernor
    IActRules public immutable actRules;

    /// @dev Seconds.
    uint256 internal immutable _day;

    constructor(IActRules rules) {
        if (address(rules).code.length == 0) revert CloisterGovernorWithoutCode(address(rules));
        actRules = rules;
        _day = rules.day();
    }
}
