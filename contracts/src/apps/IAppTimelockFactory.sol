// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAppRegistry} from "../IAppRegistry.sol";

/// @title IAppTimelockFactory
/// @notice Creates timelocks for apps, and remembers which it created: whoever finds that one owns an app knows its code.
interface IAppTimelockFactory {
    event AppTimelockCreated(address indexed timelock, address indexed owner, IAppRegistry registry);

    /// @notice Creates a timelock, or answers the one that stands there already. Anyone; all of it is in its address.
    /// @param vetoers At most 8, each once.
    /// @param delay 60 to 7,776,000 seconds.
    function create(
        IAppRegistry registry,
        address owner,
        address[] calldata vetoers,
        uint32 delay,
        bytes32 salt
    ) external returns (address timelock);

    /// @notice Where such a timelock stands, or would.
    function addressOf(
        IAppRegistry registry,
        address owner,
        address[] calldata vetoers,
        uint32 delay,
        bytes32 salt
    ) external view returns (address);

    /// @notice Whether this factory created it.
    function isTimelock(address account) external view returns (bool);
}
