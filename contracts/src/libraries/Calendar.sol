// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Calendar
/// @notice Dates written in ASCII digits as Unix seconds.
library Calendar {
    uint256 private constant SECONDS_PER_DAY = 86_400;
    /// @dev Days from 0000-03-01 to 1970-01-01 in the proleptic Gregorian calendar.
    uint256 private constant EPOCH_DAYS = 719_468;

    /// @dev One byte of each pair of bytes.
    uint256 private constant PAIRS = 0x00ff00ff00ff00ff00ff00ff00ff;

    /// @notice Unix seconds of a date in digits YYYYMMDDhhmmss, in UTC. False where a byte is no digit, and where
    /// {toUnix} says so.
    /// @param digits In ASCII, the lowest 14 bytes.
    function fromDigits(uint256 digits) internal pure returns (bool ok, uint256 seconds_) {
        unchecked {
            uint256 values = digits ^ 0x3030303030303030303030303030;
            // A byte above 9 reaches 0x80, by itself or with what is added; none carries into the next.
            if (
                ((values & 0x7f7f7f7f7f7f7f7f7f7f7f7f7f7f) + 0x7676767676767676767676767676 | values)
                        & 0x8080808080808080808080808080 != 0 || values >> 112 != 0
            ) return (false, 0);
            uint256 numbers = 10 * (values >> 8 & PAIRS) + (values & PAIRS);
            return toUnix(
                100 * (numbers >> 96) + (numbers >> 80 & 0xff),
                numbers >> 64 & 0xff,
                numbers >> 48 & 0xff,
                numbers >> 32 & 0xff,
                numbers >> 16 & 0xff,
                numbers & 0xff
            );
        }
    }

    /// @notice Unix seconds of a date and time in UTC. False where the calendar has no such date, before 1970, and for
    /// leap seconds.
    function toUnix(
        uint256 year,
        uint256 month,
        uint256 day,
        uint256 hour,
        uint256 minute,
        uint256 second
    ) internal pure returns (bool ok, uint256 seconds_) {
        uint256 wrong;
        assembly ("memory-safe") {
            wrong := or(or(gt(sub(year, 1970), 8029), gt(sub(month, 1), 11)), iszero(day))
            wrong := or(wrong, or(or(gt(hour, 23), gt(minute, 59)), gt(second, 59)))
        }
        if (wrong != 0) return (false, 0);
        if (day > 28 && day > _daysOf(year, month)) return (false, 0);
        unchecked {
            // Years that begin in March: the leap day is the last of its year. Howard Hinnant, "chrono-Compatible
            // Low-Level Date Algorithms", days_from_civil.
            uint256 shifted = month > 2 ? year : year - 1;
            uint256 dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
            uint256 day_ = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - EPOCH_DAYS;
            return (true, day_ * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second);
        }
    }

    function _daysOf(uint256 year, uint256 month) private pure returns (uint256) {
        unchecked {
            if (month != 2) return 30 + ((month + month / 8) & 1);
            return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
        }
    }
}
