// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBridgedSupply} from "../../src/governance/governor/IBridgedSupply.sol";

/// @notice A bridge that says what it is told, refuses, burns all gas, or answers too little or too much.
contract UnsafeBridgedSupply is IBridgedSupply {
    enum Answer {
        Amount,
        Refusal,
        AllGas,
        Nothing,
        TwoWords,
        RefusalOfAWord
    }

    Answer private _answer;
    uint256 private _amount;

    function set(Answer answer, uint256 amount) external {
        (_answer, _amount) = (answer, amount);
    }

    function bridgedOutAt(uint256) external view returns (uint256) {
        Answer answer = _answer;
        if (answer == Answer.Refusal) revert();
        if (answer == Answer.AllGas) while (true) {}
        if (answer == Answer.Nothing) assembly { return(0, 0) }
        if (answer == Answer.TwoWords) assembly { return(0, 64) }
        if (answer == Answer.RefusalOfAWord) assembly { revert(0, 32) }
        return _amount;
    }
}
