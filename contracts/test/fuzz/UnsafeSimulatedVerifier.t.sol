// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {UnsafeSimulatedVerifier} from "../../src/attestation/UnsafeSimulatedVerifier.sol";

contract UnsafeSimulatedVerifierFuzzTest {
    // The generator of P-256 as root: nobody signs with the key 1 here.
    uint256 private constant ROOT_X = 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296;
    uint256 private constant ROOT_Y = 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5;

    UnsafeSimulatedVerifier private _verifier;

    function setUp() external {
        _verifier = new UnsafeSimulatedVerifier(ROOT_X, ROOT_Y, block.chainid);
    }

    /// @notice Arbitrary bytes are refused, and by name: never with empty data or a panic.
    function testFuzz_refusesByName(bytes calldata evidence) external view {
        _refusedByName(evidence);
    }

    /// @notice So is evidence of the right form that nobody endorsed.
    function testFuzz_refusesUnendorsed(
        bytes32 seed,
        bytes16 platformId,
        uint64 validUntil,
        uint256 r,
        uint256 s
    ) external view {
        bytes memory part = new bytes(632);
        for (uint256 i = 0; i < 632; ++i) {
            part[i] = keccak256(abi.encode(seed, i))[0];
        }
        _refusedByName(abi.encode(part, platformId, validUntil, r, s));
        (part[0], part[1], part[2], part[3]) = (bytes1(0x04), bytes1(0), bytes1(0x02), bytes1(0));
        (part[4], part[5], part[6], part[7]) = (bytes1(0x81), bytes1(0), bytes1(0), bytes1(0));
        part[168] = 0;
        _refusedByName(abi.encode(part, platformId, validUntil, r, s));
    }

    function _refusedByName(bytes memory evidence) private view {
        (bool ok, bytes memory answer) = address(_verifier).staticcall(abi.encodeCall(_verifier.verify, (evidence)));
        assert(!ok && answer.length >= 4 && bytes4(answer) != 0x4e487b71);
    }
}
