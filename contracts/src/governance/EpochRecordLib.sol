// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReceiptLib} from "../receipts/ReceiptLib.sol";

/// @notice What the committee says about an epoch. Every field follows from the chain and from what members published.
/// @param attempt Minutes between the epoch's end and the newest final block that its proposer knew.
/// @param blockNumber The first block after the epoch, with blockHash.
/// @param beacon Randomness of the epoch's first round.
/// @param rewardsRoot Of what each pool gets, zero where none does; all together `rewards`.
/// @param members Whose measurements count.
/// @param workers In the directory, with their `stake` in PHA's smallest unit (bonds, and 1 of each without one).
/// @param work Sum of the workers' median work, units a second.
struct EpochRecord {
    uint64 epoch;
    uint32 attempt;
    uint64 blockNumber;
    bytes32 blockHash;
    bytes32 beacon;
    bytes32 measurementsRoot;
    bytes32 directoryRoot;
    bytes32 rewardsRoot;
    bytes32 evictionRoot;
    bytes32 releaseLogRoot;
    uint32 members;
    uint32 workers;
    uint128 stake;
    uint128 work;
    uint128 rewards;
}

/// @title EpochRecordLib
/// @notice EIP-712 of epoch records.
library EpochRecordLib {
    bytes32 internal constant RECORD_TYPEHASH = keccak256(
        "EpochRecord(uint64 epoch,uint32 attempt,uint64 block,bytes32 blockHash,bytes32 beacon,bytes32 measurementsRoot,bytes32 directoryRoot,bytes32 rewardsRoot,bytes32 evictionRoot,bytes32 releaseLogRoot,uint32 members,uint32 workers,uint128 stake,uint128 work,uint128 rewards)"
    );

    /// @notice What members sign.
    function digest(EpochRecord calldata record, bytes32 separator) internal pure returns (bytes32) {
        // Every field is a static word, so the struct's ABI encoding is its EIP-712 encoding.
        return ReceiptLib.toDigest(separator, keccak256(abi.encode(RECORD_TYPEHASH, record)));
    }
}
