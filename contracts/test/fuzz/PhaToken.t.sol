// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {PhaTokenHarness} from "../harness/PhaTokenHarness.sol";
import {bound, vm} from "./Vm.sol";

contract PhaTokenFuzzTest {
    uint256 private constant CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    struct Authorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }

    /// @notice Whatever is issued and burnt: never more than the cap is issued, and the supply is what was not burnt.
    function testFuzz_issuedEver(uint256[10] calldata amounts, uint16 kinds) external {
        PhaTokenHarness token = new PhaTokenHarness(new address[](0), new uint256[](0));
        uint256 cap = token.ISSUE_CAP();
        uint256 issued;
        uint256 burnt;
        for (uint256 i = 0; i < amounts.length; ++i) {
            if ((kinds >> i) & 1 == 0) {
                uint256 amount = bound(amounts[i], 0, cap / 2);
                bool fits = issued + amount <= cap;
                try token.issue(address(this), amount) {
                    assert(fits);
                    issued += amount;
                } catch {
                    assert(!fits);
                }
            } else {
                uint256 amount = bound(amounts[i], 0, token.balanceOf(address(this)));
                token.burn(amount);
                burnt += amount;
            }
            assert(token.issuedEver() == issued && issued <= cap);
            assert(token.totalSupply() == issued - burnt);
        }
    }

    /// @notice Whatever routes burn and mint, in whatever order and for whomever: each mints at most what went out through
    /// it, and the supply, what is outstanding and what was burnt are together what was issued.
    function testFuzz_routes(uint256[16] calldata amounts, uint64 kinds) external {
        address[] memory holders = new address[](1);
        uint256[] memory genesis = new uint256[](1);
        (holders[0], genesis[0]) = (address(this), 1_000e18);
        PhaTokenHarness token = new PhaTokenHarness(holders, genesis);
        uint256[2] memory out;
        uint256 burnt;
        for (uint256 i = 0; i < amounts.length; ++i) {
            uint256 kind = (kinds >> (i * 4)) & 7;
            uint256 index = (kinds >> (i * 4 + 3)) & 1;
            address route = index == 0 ? address(0xa1) : address(0xa2);
            // Sometimes more than there is.
            uint256 amount = bound(amounts[i], 0, 600e18);
            if (kind < 3) {
                bool fits = amount <= token.balanceOf(address(this));
                token.approve(route, amount);
                vm.prank(route);
                try token.crosschainBurn(address(this), amount) {
                    assert(fits);
                    out[index] += amount;
                } catch {
                    assert(!fits);
                }
                assert(!fits || token.allowance(address(this), route) == 0);
            } else if (kind < 7) {
                vm.prank(route);
                try token.crosschainMint(address(this), amount) {
                    assert(amount <= out[index]);
                    out[index] -= amount;
                } catch {
                    assert(amount > out[index]);
                }
            } else if (amount <= token.balanceOf(address(this))) {
                token.burn(amount);
                burnt += amount;
            }
            assert(token.outstandingOf(address(0xa1)) == out[0] && token.outstandingOf(address(0xa2)) == out[1]);
            assert(token.outstanding() == out[0] + out[1]);
            assert(token.totalSupply() + token.outstanding() + burnt == token.issuedEver());
            assert(token.issuedEver() == 1_000e18);
        }
    }

    /// @notice An authorization moves its amount if and only if its holder signed it for this token, the time is strictly
    /// between its bounds, and it was neither used nor cancelled; and then once. Else nothing moves.
    function testFuzz_authorization(
        uint256 key,
        uint256 signerSeed,
        uint64[3] calldata times,
        uint256 value,
        bytes32 nonce,
        uint8 kind
    ) external {
        PhaTokenHarness token = new PhaTokenHarness(new address[](0), new uint256[](0));
        key = bound(key, 1, CURVE_ORDER - 1);
        // Half of the cases by another key, half of the rest for another token.
        uint256 signer = signerSeed % 2 == 0 ? key : bound(signerSeed, 1, CURVE_ORDER - 1);
        address domainOf = (signerSeed >> 1) % 2 == 0 ? address(token) : address(this);
        Authorization memory wish = Authorization({
            from: vm.addr(key),
            to: address(this),
            value: bound(value, 0, 1e18),
            validAfter: bound(times[0], 1, 1_000),
            validBefore: bound(times[1], 1, 1_000),
            nonce: nonce
        });
        uint256 time = bound(times[2], 1, 1_000);
        vm.warp(time);
        token.issue(wish.from, 1e18);
        bool receives = kind % 2 == 0;
        bool cancelled = (kind >> 1) % 4 == 0;
        if (cancelled) _cancel(token, key, wish);
        bool holds = signer == key && domainOf == address(token) && wish.validAfter < time && time < wish.validBefore;
        bytes memory call_ = _call(wish, signer, domainOf, receives);
        // This contract is as good as the one who would steal: it has no other right than the signature.
        (bool went,) = address(token).call(call_);
        assert(went == (holds && !cancelled));
        assert(token.balanceOf(address(this)) == (went ? wish.value : 0));
        assert(token.authorizationState(wish.from, nonce) == (went || cancelled));
        (went,) = address(token).call(call_);
        assert(!went && token.balanceOf(wish.from) + token.balanceOf(address(this)) == 1e18);
    }

    function _cancel(PhaTokenHarness token, uint256 key, Authorization memory wish) private {
        bytes32 structHash =
            keccak256(abi.encode(keccak256("CancelAuthorization(address authorizer,bytes32 nonce)"), wish.from, wish.nonce));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, _digest(address(token), structHash));
        token.cancelAuthorization(wish.from, wish.nonce, v, r, s);
    }

    function _call(
        Authorization memory wish,
        uint256 signer,
        address domainOf,
        bool receives
    ) private view returns (bytes memory) {
        bytes32 typeHash = receives
            ? keccak256(
                "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
            )
            : keccak256(
                "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
            );
        bytes32 digest = _digest(domainOf, keccak256(abi.encode(typeHash, wish)));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signer, digest);
        bytes4 selector =
            receives ? IERC3009.receiveWithAuthorization.selector : IERC3009.transferWithAuthorization.selector;
        return bytes.concat(selector, abi.encode(wish, v, r, s));
    }

    function _digest(address verifyingContract, bytes32 structHash) private view returns (bytes32) {
        bytes32 separator = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Phala"),
                keccak256("1"),
                block.chainid,
                verifyingContract
            )
        );
        return keccak256(abi.encodePacked(hex"1901", separator, structHash));
    }
}
