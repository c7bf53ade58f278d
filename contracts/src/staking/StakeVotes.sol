// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {ShareMath} from "./ShareMath.sol";

/// @notice What an account held in a pool, by time.
struct HolderHistory {
    Checkpoints.Trace208 shares;
    Checkpoints.Trace208 units;
}

/// @notice What a pool's shares were, by time, and what they and the units of its two lanes were worth.
struct PoolHistory {
    Checkpoints.Trace208 shares;
    Checkpoints.Trace208 rate;
    Checkpoints.Trace208[2] unitRates;
}

/// @title StakeVotes
/// @notice Histories by timestamp (ERC-6372), from which votes follow: shares times their rate, and units times theirs.
library StakeVotes {
    using Checkpoints for Checkpoints.Trace208;

    function increase(Checkpoints.Trace208 storage trace, uint256 amount) internal {
        trace.push(uint48(block.timestamp), SafeCast.toUint208(trace.latest() + amount));
    }

    /// @dev Reverts by underflow where there is less; callers check before.
    function decrease(Checkpoints.Trace208 storage trace, uint256 amount) internal {
        trace.push(uint48(block.timestamp), SafeCast.toUint208(trace.latest() - amount));
    }

    /// @notice Writes only what changed.
    function set(Checkpoints.Trace208 storage trace, uint256 value) internal {
        if (trace.latest() != value) trace.push(uint48(block.timestamp), SafeCast.toUint208(value));
    }

    /// @notice What an account's stake in a pool was worth in PHA, rounded down.
    /// @param lane Which lane its units are in.
    function worthAt(
        HolderHistory storage holder,
        PoolHistory storage pool,
        uint256 lane,
        uint48 timepoint
    ) internal view returns (uint256) {
        return Math.mulDiv(
            holder.shares.upperLookupRecent(timepoint),
            pool.rate.upperLookupRecent(timepoint),
            ShareMath.RATE_SCALE
        )
            + Math.mulDiv(
                holder.units.upperLookupRecent(timepoint),
                pool.unitRates[lane].upperLookupRecent(timepoint),
                ShareMath.RATE_SCALE
            );
    }
}
