// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title BlockHashes
/// @notice Hashes of recent blocks: BLOCKHASH for the last 256, the history contract of EIP-2935 for the last 8,191
/// where the chain has it.
library BlockHashes {
    /// @dev HISTORY_STORAGE_ADDRESS of EIP-2935.
    address internal constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;

    /// @dev HISTORY_SERVE_WINDOW of EIP-2935, in blocks.
    uint256 internal constant HISTORY_WINDOW = 8191;

    /// @notice The hash of a block, or zero where it is unknown: the current block, later ones, and those too old for
    /// both sources.
    /// @dev Warning: zero means "can't tell", never "no such block".
    function tryGet(uint256 blockNumber) internal view returns (bytes32 blockHash) {
        if (blockNumber >= block.number) return 0;
        blockHash = blockhash(blockNumber);
        // No underflow: blockNumber < block.number.
        if (blockHash != 0 || block.number - blockNumber > HISTORY_WINDOW || HISTORY.code.length == 0) return blockHash;
        (bool ok, bytes memory answer) = HISTORY.staticcall(abi.encode(blockNumber));
        if (ok && answer.length == 32) blockHash = bytes32(answer);
    }
}
