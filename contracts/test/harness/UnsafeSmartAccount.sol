// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @notice An account with code whose word is its owner's signature, until it is told to say no.
contract UnsafeSmartAccount is IERC1271 {
    address public immutable owner;
    bool public mute;

    constructor(address owner_) {
        owner = owner_;
    }

    function setMute(bool mute_) external {
        mute = mute_;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        bool holds = !mute && ECDSA.recoverCalldata(hash, signature) == owner;
        return holds ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}
