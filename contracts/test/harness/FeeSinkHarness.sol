// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IFeeSink} from "../../src/staking/IFeeSink.sol";

/// @notice Pools that take their fees and count them.
contract FeeSinkHarness is IFeeSink {
    using SafeERC20 for IERC20;

    IERC20 private immutable _token;

    mapping(address operator => bool) public hasPool;
    mapping(address operator => uint256) public feesOf;

    constructor(IERC20 token) {
        _token = token;
    }

    function openPool(address operator) external {
        hasPool[operator] = true;
    }

    function addFees(address operator, uint256 amount) external {
        feesOf[operator] += amount;
        _token.safeTransferFrom(msg.sender, address(this), amount);
    }
}

/// @notice Says that everyone has a pool, and leaves a unit of what it should take.
contract UnsafeForgetfulSink is IFeeSink {
    IERC20 private immutable _token;

    constructor(IERC20 token) {
        _token = token;
    }

    function hasPool(address) external pure returns (bool) {
        return true;
    }

    function addFees(address, uint256 amount) external {
        _token.transferFrom(msg.sender, address(this), amount - 1);
    }
}
