// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CollateralStore} from "../../src/attestation/CollateralStore.sol";
import {PckRegistry} from "../../src/attestation/PckRegistry.sol";
import {SgxVerifier} from "../../src/attestation/SgxVerifier.sol";
import {TdxVerifier} from "../../src/attestation/TdxVerifier.sol";

contract AttestationFuzzTest {
    // The generator of P-256 as root: nobody signs with the key 1 here.
    uint256 private constant ROOT_X = 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296;
    uint256 private constant ROOT_Y = 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5;

    CollateralStore private _store;
    PckRegistry private _pckRegistry;
    TdxVerifier private _tdx;
    SgxVerifier private _sgx;

    function setUp() external {
        _store = new CollateralStore(ROOT_X, ROOT_Y);
        _pckRegistry = new PckRegistry(_store);
        _tdx = new TdxVerifier(_store, _pckRegistry);
        _sgx = new SgxVerifier(_store, _pckRegistry);
    }

    /// @notice Arbitrary bytes are refused, and by name: never with empty data or a panic.
    function testFuzz_refusesByName(bytes calldata data, bytes32 r, bytes32 s) external {
        _refusedByName(address(_tdx), abi.encodeCall(_tdx.verify, (data)));
        _refusedByName(address(_sgx), abi.encodeCall(_sgx.verify, (data)));
        _refusedByName(address(_pckRegistry), abi.encodeCall(_pckRegistry.registerPck, (data)));
        _refusedByName(address(_store), abi.encodeCall(_store.submitRootCrl, (data)));
        _refusedByName(address(_store), abi.encodeCall(_store.submitPckCa, (data)));
        _refusedByName(address(_store), abi.encodeCall(_store.submitPckCrl, (data)));
        _refusedByName(address(_store), abi.encodeCall(_store.submitTcbSigner, (data)));
        _refusedByName(address(_store), abi.encodeCall(_store.submitTcbInfo, (data, r, s)));
        _refusedByName(address(_store), abi.encodeCall(_store.submitQeIdentity, (data, r, s)));
    }

    /// @notice So is evidence of a right form and length that nobody signed, and nothing is remembered of it.
    function testFuzz_refusesUnsigned(bytes32 seed, uint8 formSeed, uint8 authLength, bool version5) external {
        uint8 form = formSeed % 3 + 1;
        bytes memory header = abi.encodePacked(
            version5 ? bytes2(0x0500) : bytes2(0x0400),
            hex"020081000000",
            hex"00000000",
            hex"939a7233f79c4ca9940a0db3957f0607",
            new bytes(20)
        );
        bytes memory body = _random(seed, 584);
        for (uint256 i = 120; i < 128; ++i) {
            body[i] = i == 123 ? bytes1(0x10) : bytes1(0);
        }
        for (uint256 i = 216; i < 232; ++i) {
            body[i] = 0;
        }
        bytes memory quote =
            version5 ? bytes.concat(header, hex"020048020000", body) : bytes.concat(header, body);
        bytes memory front = form == 3
            ? _random(seed, 216)
            : bytes.concat(_random(seed, 576), abi.encodePacked(uint16(authLength)), _random(~seed, 64 + uint256(authLength)));
        bytes memory evidence = abi.encodePacked(form, front, quote);
        (bool ok, bytes memory answer) = address(_tdx).call(abi.encodeCall(_tdx.verify, (evidence)));
        assert(!ok && bytes4(answer) == bytes4(keccak256("QuoteVerifierSignature(bytes32)")));
        if (form == 3) assert(!_tdx.isKnownKey(evidence));
    }

    function _random(bytes32 seed, uint256 length) private pure returns (bytes memory data) {
        data = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            data[i] = keccak256(abi.encode(seed, i / 32))[i % 32];
        }
    }

    function _refusedByName(address target, bytes memory call) private {
        (bool ok, bytes memory answer) = target.call(call);
        assert(!ok && answer.length >= 4 && bytes4(answer) != 0x4e487b71);
    }
}
