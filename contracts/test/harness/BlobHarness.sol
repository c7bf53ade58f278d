// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CodeBlob} from "../../src/libraries/CodeBlob.sol";
import {RevocationList} from "../../src/libraries/RevocationList.sol";

/// @notice Bytes kept as code, and lists of revocations, as external functions.
contract BlobHarness {
    event Written(address blob);

    function write(bytes calldata data) external returns (address blob) {
        blob = CodeBlob.write(data);
        emit Written(blob);
    }

    function read(address blob) external view returns (bytes memory) {
        return CodeBlob.read(blob);
    }

    function holds(address blob, bytes calldata data) external view returns (bool) {
        return CodeBlob.holds(blob, data);
    }

    /// @notice The list of these tags, in whatever order they come.
    function listOf(bytes16[] calldata tags) external pure returns (bytes memory list) {
        list = new bytes(16 * tags.length);
        uint256 count;
        for (uint256 index = 0; index < tags.length; ++index) {
            count = RevocationList.insert(list, count, tags[index]);
        }
        assembly ("memory-safe") {
            mstore(list, mul(count, 16))
        }
    }

    function contains(bytes calldata list, bytes16 tag) external pure returns (bool) {
        return RevocationList.contains(list, tag);
    }
}
