// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {PhaToken} from "../token/PhaToken.sol";
import {IEmittedPha} from "./IEmittedPha.sol";

/// @title EmittedPha
/// @dev The emission's address is known before it is deployed and never changes. Warning: it need not hold code yet.
contract EmittedPha is PhaToken, IEmittedPha {
    /// @inheritdoc IEmittedPha
    address public immutable emission;

    constructor(
        address[] memory holders,
        uint256[] memory amounts,
        address emission_
    ) PhaToken(holders, amounts) {
        emission = emission_;
    }

    /// @inheritdoc IEmittedPha
    function mintForEmission(address to, uint256 amount) external {
        if (msg.sender != emission) revert EmittedPhaCallerNotEmission(msg.sender, emission);
        _issue(to, amount);
    }
}
