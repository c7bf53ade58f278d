// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {PhaTokenHarness} from "../harness/PhaTokenHarness.sol";
import {bound} from "./Vm.sol";

contract PhaTokenFuzzTest {
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
}
