// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Governed
/// @notice Base of every contract with functions that governance alone may call.
/// @dev The timelock is an immutable: no owner to transfer or renounce, and no right for who deployed the contract.
/// A network whose timelock must change deploys new contracts through the old one.
abstract contract Governed {
    /// @notice The TimelockController that alone may call governed functions.
    address public immutable timelock;

    error GovernedTimelockWithoutCode(address timelock);
    error GovernedCallerNotTimelock(address caller, address timelock);

    /// @dev Warning: only that the address holds code is checked, not which code it is.
    constructor(address timelock_) {
        if (timelock_.code.length == 0) revert GovernedTimelockWithoutCode(timelock_);
        timelock = timelock_;
    }

    modifier onlyTimelock() {
        if (msg.sender != timelock) revert GovernedCallerNotTimelock(msg.sender, timelock);
        _;
    }
}
