// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RemotePha} from "../token/RemotePha.sol";
import {PhaRoute} from "./PhaRoute.sol";

/// @title RemotePhaRoute
/// @notice A route's end on another chain. It creates the PHA of that chain, which it alone mints.
contract RemotePhaRoute is PhaRoute {
    constructor(RouteSettings memory settings) PhaRoute(settings, new RemotePha(address(this))) {}

    /// @dev The window alone limits: how much went out at home nobody knows here.
    function _mintable() internal pure override returns (uint256) {
        return type(uint256).max;
    }
}
