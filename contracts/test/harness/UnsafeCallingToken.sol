// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice A token that calls somebody in the middle of its next transfer: what PHA never does.
contract UnsafeCallingToken is ERC20 {
    address private _target;
    bytes private _data;

    /// @notice Whether the call went through.
    bool public called;

    constructor(address holder) ERC20("Calling", "CALL") {
        _mint(holder, 1e27);
    }

    function arm(address target, bytes calldata data) external {
        (_target, _data, called) = (target, data, false);
    }

    function _update(address from, address to, uint256 value) internal override {
        address target = _target;
        if (target != address(0)) {
            _target = address(0);
            (called,) = target.call(_data);
        }
        super._update(from, to, value);
    }
}
