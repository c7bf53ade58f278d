// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AppRegistry} from "../../src/AppRegistry.sol";
import {EnforcedFields} from "../../src/IAppRegistry.sol";
import {bound, vm} from "./Vm.sol";

contract AppRegistryFuzzTest {
    AppRegistry private _apps;

    function setUp() external {
        _apps = new AppRegistry();
        vm.warp(1_800_000_000);
    }

    function _fields(uint32 notice) private pure returns (EnforcedFields memory fields) {
        fields.upgradeNoticeSeconds = notice;
        fields.keyVersion = 1;
        fields.minKeyVersion = 1;
        fields.replicas = 1;
    }

    /// @notice The old version serves for exactly its own notice, whatever the new one asks for.
    function testFuzz_noticeHolds(uint32 notice, uint32 newNotice, uint256 waited) external {
        notice = uint32(bound(notice, 0, 365 days));
        newNotice = uint32(bound(newNotice, 0, 365 days));
        waited = bound(waited, 0, 2 * 365 days);
        bytes32 app = _apps.create(bytes32(0), bytes32(uint256(1)), _fields(notice));
        _apps.publish(app, bytes32(uint256(2)), _fields(newNotice));
        vm.warp(block.timestamp + waited);
        (bytes32 manifestId, uint24 version,) = _apps.current(app);
        bool effective = waited >= notice;
        assert(version == (effective ? 2 : 1));
        assert(manifestId == bytes32(uint256(version)));
        assert(_apps.isCurrentManifest(app, bytes32(uint256(2))) == effective);
        assert(_apps.versionAt(app, uint64(block.timestamp)) == version);
    }

    /// @notice Whatever is published, withdrawn and waited for: numbers have no gaps, a withdrawn version never serves,
    /// what serves is what versionAt says.
    function testFuzz_sequences(uint8[12] calldata steps, uint32 notice) external {
        notice = uint32(bound(notice, 0, 100));
        bytes32 app = _apps.create(bytes32(0), bytes32(uint256(1)), _fields(notice));
        uint24 published = 1;
        bool[16] memory withdrawn;
        for (uint256 i = 0; i < steps.length; ++i) {
            uint256 step = steps[i] % 3;
            if (step == 0) {
                try _apps.publish(app, bytes32(uint256(published + 1)), _fields(notice)) returns (uint24 version) {
                    assert(version == ++published);
                } catch {}
            } else if (step == 1) {
                try _apps.withdraw(app, published) {
                    withdrawn[published] = true;
                } catch {}
            } else {
                vm.warp(block.timestamp + steps[i]);
            }
            (bytes32 manifestId, uint24 serving,) = _apps.current(app);
            assert(serving > 0 && serving <= published && !withdrawn[serving]);
            assert(manifestId == bytes32(uint256(serving)));
            assert(_apps.versionAt(app, uint64(block.timestamp)) == serving);
            assert(_apps.versionCount(app) == published);
        }
    }

    /// @notice Fields come back as they were given, or are refused.
    function testFuzz_fieldsRoundTrip(EnforcedFields calldata given) external {
        try _apps.create(bytes32(0), bytes32(uint256(1)), given) returns (bytes32 app) {
            (,, EnforcedFields memory kept) = _apps.current(app);
            assert(keccak256(abi.encode(kept)) == keccak256(abi.encode(given)));
            assert(given.kind <= 3 && given.imagePolicy <= 2 && given.replicas >= 1 && given.replicas <= 64);
            assert(given.minKeyVersion >= 1 && given.minKeyVersion <= given.keyVersion);
            assert(given.upgradeNoticeSeconds <= 365 days);
        } catch {
            assert(
                given.kind > 3 || given.imagePolicy > 2 || given.replicas == 0 || given.replicas > 64
                    || given.minKeyVersion == 0 || given.minKeyVersion > given.keyVersion
                    || given.upgradeNoticeSeconds > 365 days
            );
        }
    }

    /// @notice Each valid combination is accepted; the fuzzer alone seldom finds one.
    function testFuzz_validFieldsRoundTrip(EnforcedFields memory given) external {
        given.kind %= 4;
        given.imagePolicy %= 3;
        given.replicas = uint8(bound(given.replicas, 1, 64));
        given.upgradeNoticeSeconds = uint32(bound(given.upgradeNoticeSeconds, 0, 365 days));
        given.keyVersion = uint32(bound(given.keyVersion, 1, type(uint32).max));
        given.minKeyVersion = uint32(bound(given.minKeyVersion, 1, given.keyVersion));
        bytes32 app = _apps.create(bytes32(0), bytes32(uint256(1)), given);
        (,, EnforcedFields memory kept) = _apps.current(app);
        assert(keccak256(abi.encode(kept)) == keccak256(abi.encode(given)));
    }
}
