// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title TransferWindow
/// @notice Lets through at most a limit in any interval as long as {SECONDS}.
/// @dev A bucket of half the limit that empties by half the limit a window: whatever the interval, what the bucket holds
/// at its beginning and what drains during it are together one limit. So one amount above half the limit takes several
/// goes.
library TransferWindow {
    struct Bucket {
        uint128 used;
        uint64 at;
    }

    uint256 internal constant SECONDS = 1 days;

    /// @notice How much may go through now.
    function room(Bucket storage bucket, uint256 limit) internal view returns (uint256) {
        uint256 half = limit / 2;
        uint256 used = _usedNow(bucket, half);
        return used < half ? half - used : 0;
    }

    /// @notice Notes that an amount, at most {room}, went through.
    function take(Bucket storage bucket, uint256 limit, uint256 amount) internal {
        // No overflow: used and amount are each below 2^127, half of a limit of 128 bits, but for what a lower limit left.
        bucket.used = uint128(_usedNow(bucket, limit / 2) + amount);
        bucket.at = uint64(block.timestamp);
    }

    function _usedNow(Bucket storage bucket, uint256 half) private view returns (uint256) {
        // Rounded down: never more than its part drains.
        uint256 drained = half * (block.timestamp - bucket.at) / SECONDS;
        return drained < bucket.used ? bucket.used - drained : 0;
    }
}
