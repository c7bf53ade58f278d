// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IFeeSink} from "../../src/staking/IFeeSink.sol";

/// @notice Pools of one operator; counts what it was given, and fails in the way it is told to.
contract UnsafeFeeSink is IFeeSink {
    enum Failure {
        None,
        Asked,
        Paid,
        TakesLess
    }

    error UnsafeFeeSinkFails();

    IERC20 private immutable _token;
    address private immutable _operator;
    Failure private _failure;
    mapping(address operator => uint256) public feesOf;

    constructor(IERC20 token, address operator) {
        _token = token;
        _operator = operator;
    }

    function setFailure(Failure failure) external {
        _failure = failure;
    }

    function hasPool(address operator) external view returns (bool) {
        if (_failure == Failure.Asked) revert UnsafeFeeSinkFails();
        return operator == _operator;
    }

    function addFees(address operator, uint256 amount) external {
        if (_failure == Failure.Paid) revert UnsafeFeeSinkFails();
        uint256 taken = _failure == Failure.TakesLess ? amount - 1 : amount;
        require(_token.transferFrom(msg.sender, address(this), taken));
        feesOf[operator] += taken;
    }
}
