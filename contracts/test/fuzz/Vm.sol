// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice The cheat codes that the fuzz tests use.
interface Vm {
    function warp(uint256 timestamp) external;
    function roll(uint256 blockNumber) external;

    /// @dev The optimizer over the intermediate code takes `block.timestamp` and `block.number` for constants of a call,
    /// which `warp` and `roll` change: tests that it compiles ask here.
    function getBlockTimestamp() external view returns (uint256);
    function getBlockNumber() external view returns (uint256);

    function prank(address sender) external;
    function sign(uint256 privateKey, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function addr(uint256 privateKey) external pure returns (address);
    function assume(bool condition) external pure;

    /// @dev Of a contract that was compiled on its own: as it is deployed, by other settings than the test's.
    function getCode(string calldata artifact) external view returns (bytes memory creationCode);
}

Vm constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

/// @notice Brings a fuzzed value into [low, high].
function bound(uint256 value, uint256 low, uint256 high) pure returns (uint256) {
    return low + value % (high - low + 1);
}

/// @notice Deploys a contract that was compiled on its own, such as "Payments.sol:Payments". Reverts with the constructor's error.
function deployCompiled(string memory artifact, bytes memory args) returns (address deployed) {
    bytes memory code = abi.encodePacked(vm.getCode(artifact), args);
    assembly ("memory-safe") {
        deployed := create(0, add(code, 0x20), mload(code))
        if iszero(deployed) {
            returndatacopy(0, 0, returndatasize())
            revert(0, returndatasize())
        }
    }
}
