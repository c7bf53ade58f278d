// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IFeeSink} from "../../src/staking/IFeeSink.sol";

/// @notice Pools of one operator; counts what it was given.
contract UnsafeFeeSink is IFeeSink {
    IERC20 private immutable _token;
    address private immutable _operator;
    mapping(address operator => uint256) public feesOf;

    constructor(IERC20 token, address operator) {
        _token = token;
        _operator = operator;
    }

    function hasPool(address operator) external view returns (bool) {
        return operator == _operator;
    }

    function addFees(address operator, uint256 amount) external {
        require(_token.transferFrom(msg.sender, address(this), amount));
        feesOf[operator] += amount;
    }
}
