// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {PhaToken} from "../../src/token/PhaToken.sol";

/// @notice PhaToken with its issuing opened to anyone.
contract PhaTokenHarness is PhaToken {
    constructor(address[] memory holders, uint256[] memory amounts) PhaToken(holders, amounts) {}

    function issue(address to, uint256 amount) external {
        _issue(to, amount);
    }
}
