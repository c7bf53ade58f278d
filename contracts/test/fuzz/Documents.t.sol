// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DerReader} from "../../src/libraries/DerReader.sol";
import {IntelJson} from "../../src/libraries/IntelJson.sol";
import {JsonReader} from "../../src/libraries/JsonReader.sol";
import {Certificate, Crl, X509} from "../../src/libraries/X509.sol";
import {ReaderHarness} from "../harness/ReaderHarness.sol";
import {Samples} from "./Samples.sol";
import {bound} from "./Vm.sol";

/// @notice Whatever comes as a document is read as it stands or refused by an error of the reader: no panic, no empty
/// revert, nothing behind its end.
contract DocumentsFuzzTest {
    ReaderHarness private _harness;

    function setUp() external {
        _harness = new ReaderHarness();
    }

    function testFuzz_arbitraryBytes(bytes calldata document) external view {
        for (uint256 kind = 0; kind < 4; ++kind) {
            assert(!_read(kind, document));
        }
    }

    /// @notice Digest and signature together cover every byte.
    function testFuzz_damagedCertificate(uint256 place, uint8 change) external view {
        bytes memory damaged = _damage(Samples.PCK, place, change);
        if (!_read(0, damaged)) return;
        Certificate memory good = _harness.certificate(Samples.PCK);
        Certificate memory read = _harness.certificate(damaged);
        assert(
            read.digest != good.digest || read.signatureR != good.signatureR || read.signatureS != good.signatureS
        );
    }

    function testFuzz_damagedCrl(uint256 place, uint8 change) external view {
        bytes memory damaged = _damage(Samples.CRL, place, change);
        if (!_read(1, damaged)) return;
        Crl memory good = _harness.crl(Samples.CRL);
        Crl memory read = _harness.crl(damaged);
        assert(
            read.digest != good.digest || read.signatureR != good.signatureR || read.signatureS != good.signatureS
        );
    }

    function testFuzz_damagedStatements(uint256 place, uint8 change) external view {
        _read(2, _damage(Samples.TCB_INFO, place, change));
        _read(3, _damage(Samples.QE_IDENTITY, place, change));
    }

    /// @notice Two bytes at once: lengths can be made to fit each other.
    function testFuzz_damagedTwice(uint256 place, uint8 change, uint256 otherPlace, uint8 otherChange) external view {
        for (uint256 kind = 0; kind < 4; ++kind) {
            _read(kind, _damage(_damage(_sample(kind), place, change), otherPlace, otherChange));
        }
    }

    /// @notice A document that says it is shorter than it is: what follows in the call is not read.
    function testFuzz_cutShort(uint256 length) external view {
        for (uint256 kind = 0; kind < 4; ++kind) {
            bytes memory sample = _sample(kind);
            bytes memory call_ = abi.encodeWithSelector(_selector(kind), sample);
            uint256 said = bound(length, 0, sample.length - 1);
            assembly ("memory-safe") {
                mstore(add(call_, 0x44), said)
            }
            (bool ok, bytes memory reason) = address(_harness).staticcall(call_);
            assert(!ok && _isOurs(reason));
        }
    }

    function testFuzz_bytesBehind(bytes calldata behind) external view {
        for (uint256 kind = 0; kind < 4; ++kind) {
            bool read = _read(kind, bytes.concat(_sample(kind), behind));
            assert(read == (behind.length == 0));
        }
    }

    function test_samplesAreRead() external view {
        for (uint256 kind = 0; kind < 4; ++kind) {
            assert(_read(kind, _sample(kind)));
        }
    }

    function _sample(uint256 kind) private pure returns (bytes memory) {
        if (kind == 0) return Samples.PCK;
        if (kind == 1) return Samples.CRL;
        return kind == 2 ? Samples.TCB_INFO : Samples.QE_IDENTITY;
    }

    function _selector(uint256 kind) private view returns (bytes4) {
        if (kind == 0) return _harness.pck.selector;
        if (kind == 1) return _harness.crl.selector;
        return kind == 2 ? _harness.tcbInfo.selector : _harness.qeIdentity.selector;
    }

    function _read(uint256 kind, bytes memory document) private view returns (bool ok) {
        bytes memory reason;
        (ok, reason) = address(_harness).staticcall(abi.encodeWithSelector(_selector(kind), document));
        assert(ok || _isOurs(reason));
    }

    function _isOurs(bytes memory reason) private pure returns (bool) {
        bytes4 selector = bytes4(reason);
        return (selector == DerReader.DerReaderMalformed.selector && reason.length == 36)
            || (selector == JsonReader.JsonReaderMalformed.selector && reason.length == 36)
            || (selector == X509.X509Unsupported.selector && reason.length == 36)
            || (selector == X509.X509TooLarge.selector && reason.length == 68)
            || (selector == IntelJson.IntelJsonTooLarge.selector && reason.length == 68);
    }

    function _damage(bytes memory sample, uint256 place, uint8 change) private pure returns (bytes memory damaged) {
        damaged = bytes.concat(sample);
        place = bound(place, 0, sample.length - 1);
        damaged[place] = bytes1(uint8(damaged[place]) ^ uint8(bound(change, 1, 255)));
    }
}
