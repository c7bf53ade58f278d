// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {ICommittee} from "../../src/governance/ICommittee.sol";

/// @notice A committee whose members' signatures stand one after the other in the proof, in the members' order.
contract UnsafeScriptedCommittee is ICommittee {
    address[] private _members;
    uint256 private immutable _threshold;

    constructor(address[] memory members, uint256 threshold) {
        _members = members;
        _threshold = threshold;
    }

    function verify(bytes32 digest, bytes calldata proof) external view returns (bool) {
        uint256 next = 0;
        for (uint256 at = 0; at + 65 <= proof.length; at += 65) {
            address signer = ECDSA.recover(digest, proof[at:at + 65]);
            while (next < _members.length && _members[next] != signer) next++;
            if (next == _members.length) return false;
            next++;
        }
        return proof.length % 65 == 0 && proof.length / 65 >= _threshold;
    }
}
