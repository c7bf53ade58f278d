// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEpochRecords} from "../governance/IEpochRecords.sol";
import {Emission} from "./Emission.sol";
import {EmittedPha} from "./EmittedPha.sol";

/// @title PhaGenesis
/// @notice Creates the token and what issues it, which name each other for ever, in one step: whoever deploys it by
/// CREATE2 knows all three addresses beforehand.
/// @dev The first two contracts that a contract creates have the nonces 1 and 2 (EIP-161), so their addresses follow from
/// its own.
contract PhaGenesis {
    EmittedPha public immutable token;
    Emission public immutable emission;

    /// @param timelock Governs the emission.
    /// @param holders, amounts The genesis allocation.
    /// @param records What each epoch's emission is issued by.
    constructor(address timelock, address[] memory holders, uint256[] memory amounts, IEpochRecords records) {
        token = new EmittedPha(holders, amounts, _created(2));
        emission = new Emission(timelock, token, records);
    }

    /// @dev The address of what this contract creates with a nonce below 128: of RLP([address, nonce]).
    function _created(uint8 nonce) private view returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", address(this), nonce)))));
    }
}
