// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";

import {IAppRegistry} from "../IAppRegistry.sol";
import {AppTimelock} from "./AppTimelock.sol";
import {IAppTimelockFactory} from "./IAppTimelockFactory.sol";

/// @title AppTimelockFactory
contract AppTimelockFactory is IAppTimelockFactory {
    /// @inheritdoc IAppTimelockFactory
    mapping(address account => bool) public isTimelock;

    /// @inheritdoc IAppTimelockFactory
    function create(
        IAppRegistry registry,
        address owner,
        address[] calldata vetoers,
        uint32 delay,
        bytes32 salt
    ) external returns (address timelock) {
        timelock = addressOf(registry, owner, vetoers, delay, salt);
        // Somebody else's transaction for the very same one does no harm.
        if (isTimelock[timelock]) return timelock;
        isTimelock[timelock] = true;
        new AppTimelock{salt: salt}(registry, owner, vetoers, delay);
        emit AppTimelockCreated(timelock, owner, registry);
    }

    /// @inheritdoc IAppTimelockFactory
    function addressOf(
        IAppRegistry registry,
        address owner,
        address[] calldata vetoers,
        uint32 delay,
        bytes32 salt
    ) public view returns (address) {
        bytes memory arguments = abi.encode(registry, owner, vetoers, delay);
        return Create2.computeAddress(salt, keccak256(bytes.concat(type(AppTimelock).creationCode, arguments)));
    }
}
