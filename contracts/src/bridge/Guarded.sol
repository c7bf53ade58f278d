// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Governed} from "../governance/Governed.sol";
import {IGuarded} from "./IGuarded.sol";

/// @title Guarded
/// @dev The guardian's only power here is the stop: it moves and signs nothing.
abstract contract Guarded is Governed, IGuarded {
    uint64 private constant STOP_SECONDS = 30 days;

    /// @inheritdoc IGuarded
    address public guardian;

    /// @inheritdoc IGuarded
    uint64 public stoppedUntil;

    constructor(address timelock_, address guardian_) Governed(timelock_) {
        guardian = guardian_;
        emit GuardianSet(guardian_);
    }

    modifier whenRunning() {
        _checkRunning();
        _;
    }

    /// @inheritdoc IGuarded
    function stop() external whenRunning {
        if (msg.sender != guardian && msg.sender != timelock) revert GuardedCallerMayNotStop(msg.sender);
        uint64 until = uint64(block.timestamp) + STOP_SECONDS;
        stoppedUntil = until;
        _onStop();
        emit Stopped(until, msg.sender);
    }

    /// @inheritdoc IGuarded
    function lift() external onlyTimelock {
        if (block.timestamp >= stoppedUntil) revert GuardedNotStopped();
        stoppedUntil = 0;
        emit StopLifted();
    }

    /// @inheritdoc IGuarded
    function setGuardian(address guardian_) external onlyTimelock {
        guardian = guardian_;
        emit GuardianSet(guardian_);
    }

    /// @dev What else a stop ends.
    function _onStop() internal virtual {}

    function _checkRunning() private view {
        if (block.timestamp < stoppedUntil) revert GuardedStopped(stoppedUntil);
    }
}
