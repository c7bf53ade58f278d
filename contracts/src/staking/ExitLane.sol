// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Ledger, ShareMath} from "./ShareMath.sol";

/// @notice Stake that asked to leave, in the order in which it did.
/// @param ledger What is in it; its shares are called units. Earns nothing, can be slashed.
/// @param requested Units that ever entered. A request's turn is this sum after it.
/// @param served The turn up to which requests may be claimed.
struct Lane {
    Ledger ledger;
    uint256 requested;
    uint256 served;
}

/// @title ExitLane
/// @notice A queue by running totals: each action costs the same however many wait.
library ExitLane {
    using ShareMath for Ledger;

    /// @notice Takes assets in; they get their turn behind all others'.
    function enter(Lane storage lane, uint256 assets) internal returns (uint256 units, uint256 turn) {
        units = lane.ledger.toSharesDown(assets);
        // No truncation: all assets of a lane are PHA of this contract, below 2^128.
        lane.ledger.assets += uint128(assets);
        lane.ledger.shares += units;
        turn = lane.requested + units;
        lane.requested = turn;
    }

    /// @notice Pays units out, rounded down.
    function payOut(Lane storage lane, uint256 units) internal returns (uint256 assets) {
        assets = lane.ledger.toAssetsDown(units);
        // No truncation: at most ledger.assets.
        lane.ledger.assets -= uint128(assets);
        lane.ledger.shares -= units;
    }

    /// @notice Serves as many units as `free` assets cover: all that wait where their worth, rounded down as it will be
    /// paid, is free.
    /// @return used Of `free`.
    function serve(Lane storage lane, uint256 free) internal returns (uint256 used) {
        Ledger memory ledger = lane.ledger;
        uint256 waiting = lane.requested - lane.served;
        uint256 units = waiting;
        used = ledger.toAssetsDown(waiting);
        if (used > free) {
            units = Math.min(waiting, ledger.toSharesDown(free));
            used = free;
        }
        lane.served += units;
    }

    /// @notice Units that wait for their turn.
    function waitingUnits(Lane storage lane) internal view returns (uint256) {
        return lane.requested - lane.served;
    }

    /// @notice What may be claimed at any time, rounded up: it backs nothing any more.
    function servedAssets(Lane storage lane) internal view returns (uint256) {
        return assetsUpTo(lane, lane.served);
    }

    /// @notice What the requests up to a turn are worth that have not been claimed, rounded up.
    /// @param turn Not below `served`.
    function assetsUpTo(Lane storage lane, uint256 turn) internal view returns (uint256) {
        Ledger memory ledger = lane.ledger;
        // No underflow: what is claimed was served.
        uint256 claimed = lane.requested - ledger.shares;
        return ledger.toAssetsUp(turn - claimed);
    }
}
