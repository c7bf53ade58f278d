// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

interface IGuardedErrors {
    error GuardedCallerMayNotStop(address caller);
    error GuardedStopped(uint64 until);
    error GuardedNotStopped();
}

interface IGuardedEvents {
    event GuardianSet(address guardian);
    event Stopped(uint64 until, address stoppedBy);
    event StopLifted();
}

/// @title IGuarded
/// @notice What a guardian may stop for a while, and governance set going again.
interface IGuarded is IGuardedErrors, IGuardedEvents {
    /// @notice Stops for 30 days. Guardian and timelock, unless it is stopped already.
    /// @dev Warning: a guardian may stop again once a stop is over. Governance has that time to name another.
    function stop() external;

    /// @notice Ends a stop. Timelock only.
    function lift() external;

    /// @notice Timelock only; zero for none.
    function setGuardian(address guardian) external;

    function guardian() external view returns (address);

    /// @notice Unix seconds: stopped before then.
    function stoppedUntil() external view returns (uint64);
}
