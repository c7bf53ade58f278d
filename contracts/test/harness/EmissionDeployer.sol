// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Emission} from "../../src/emission/Emission.sol";
import {EmittedPha} from "../../src/emission/EmittedPha.sol";
import {IEpochRecords} from "../../src/governance/IEpochRecords.sol";

/// @notice Deploys the token and the emission that alone issues it: each needs the other's address.
contract EmissionDeployer {
    EmittedPha public immutable token;
    Emission public immutable emission;

    constructor(address timelock, IEpochRecords records) {
        // The second contract that this one creates: RLP of its address and the nonce 2.
        address next = address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", address(this), hex"02")))));
        token = new EmittedPha(new address[](0), new uint256[](0), next);
        emission = new Emission(timelock, token, records);
    }
}
