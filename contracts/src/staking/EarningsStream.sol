// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @notice Earnings on their way into a pool.
struct Stream {
    // ### 1st slot
    /// @dev Smallest units of PHA that have not flowed in.
    uint128 pending;
    /// @dev Unix seconds up to which it has flowed.
    uint40 from;
    /// @dev Unix seconds at which all of it has.
    uint40 until;
}

/// @title EarningsStream
/// @notice Earnings flow in evenly over time, so that a deposit just before they come gains nothing by being late.
library EarningsStream {
    /// @notice What has flowed since the last time and is not yet counted, rounded down.
    function due(Stream memory stream) internal view returns (uint256) {
        if (block.timestamp >= stream.until) return stream.pending;
        // No division by zero: from <= now < until.
        return Math.mulDiv(stream.pending, block.timestamp - stream.from, stream.until - stream.from);
    }

    /// @notice Counts what is due.
    function advance(Stream storage stream, uint256 flowed) internal {
        // No truncation: flowed <= pending.
        stream.pending -= uint128(flowed);
        stream.from = uint40(block.timestamp);
    }

    /// @notice Lets time pass in which nothing flows.
    function hold(Stream storage stream) internal {
        uint40 now_ = uint40(block.timestamp);
        // No truncation: what is left of a time of at most 28 days.
        stream.until = now_ + uint40(Math.saturatingSub(stream.until, stream.from));
        stream.from = now_;
    }

    /// @notice Spreads a new amount over `length` seconds together with what is pending: all of it flows evenly over the
    /// mean of both times, weighted by the amounts. So a dust of new earnings does not hold back what was on its way.
    /// @param amount Not zero.
    /// @dev Call {advance} or {hold} first.
    function add(Stream storage stream, uint128 amount, uint256 length) internal {
        uint256 left = Math.saturatingSub(stream.until, block.timestamp);
        uint256 pending = stream.pending;
        uint256 total = pending + amount;
        // No overflow: 128 bits times 40 bits. Not longer than the longer of both times.
        uint256 mean = Math.ceilDiv(pending * left + amount * length, total);
        stream.pending = uint128(total);
        stream.until = uint40(block.timestamp + mean);
    }
}
