// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPhaToken} from "../token/IPhaToken.sol";
import {PhaRoute} from "./PhaRoute.sol";

/// @title HomePhaRoute
/// @notice A route's end where PHA is issued: it mints at most what went out through it.
contract HomePhaRoute is PhaRoute {
    error HomePhaRouteTokenWithoutCode(address token);

    constructor(RouteSettings memory settings, IPhaToken token_) PhaRoute(settings, token_) {
        if (address(token_).code.length == 0) revert HomePhaRouteTokenWithoutCode(address(token_));
    }

    function _mintable() internal view override returns (uint256) {
        return IPhaToken(address(token)).outstandingOf(address(this));
    }
}
