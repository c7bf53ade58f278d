// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title EmissionSchedule
/// @notice 720,000 PHA a day, three quarters of that after every 180 days. As packages/economics computes it.
library EmissionSchedule {
    uint256 internal constant PERIOD_SECONDS = 180 days;
    uint256 internal constant FIRST_PERIOD = 720_000e18 * 180;

    /// @notice All that the schedule brings in its first `elapsed` seconds, rounded down.
    /// @dev Some 210 rounds at most: then a period brings nothing any more.
    function emittedAfter(uint256 elapsed) internal pure returns (uint256 emitted) {
        uint256 ofPeriod = FIRST_PERIOD;
        while (elapsed >= PERIOD_SECONDS && ofPeriod > 0) {
            emitted += ofPeriod;
            ofPeriod = (ofPeriod * 3) / 4;
            elapsed -= PERIOD_SECONDS;
        }
        if (ofPeriod > 0) emitted += (ofPeriod * elapsed) / PERIOD_SECONDS;
    }

    /// @notice All that it ever brings.
    function total() internal pure returns (uint256 emitted) {
        for (uint256 ofPeriod = FIRST_PERIOD; ofPeriod > 0; ofPeriod = (ofPeriod * 3) / 4) emitted += ofPeriod;
    }
}
