// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7802} from "@openzeppelin/contracts/interfaces/draft-IERC7802.sol";
import {PhaBase} from "./PhaBase.sol";

/// @title RemotePha
/// @notice PHA on another chain than its own: minted and burnt by one route alone, and by nothing else.
/// @dev Fixed for ever, and its route with it. Nobody burns but by the route, so what is here went out at home.
contract RemotePha is PhaBase {
    /// @notice Who alone mints and burns.
    address public immutable route;

    error RemotePhaCallerNotRoute(address caller, address route);

    /// @dev Warning: the route need not hold code yet, since it may be what creates this.
    constructor(address route_) {
        route = route_;
    }

    modifier onlyRoute() {
        if (msg.sender != route) revert RemotePhaCallerNotRoute(msg.sender, route);
        _;
    }

    /// @inheritdoc IERC7802
    /// @dev Within `from`'s allowance to the route.
    function crosschainBurn(address from, uint256 amount) external onlyRoute {
        _burnForRoute(from, amount);
    }

    /// @inheritdoc IERC7802
    function crosschainMint(address to, uint256 amount) external onlyRoute {
        _mintForRoute(to, amount);
    }
}
