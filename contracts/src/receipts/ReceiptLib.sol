// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @notice A worker's signed statement about one call. Amounts in the token's smallest unit.
/// @param manifest sha256 of the manifest's canonical JSON.
/// @param channel Payment channel, zero for free calls.
/// @param sequence Counts from 1 for each (signer, channel).
/// @param context What the client chose inside the seal; for a consumer contract {Ids.context}.
/// @param requestHash keccak256 of the sealed request.
/// @param status 0 ok, 1 app error, 2 limit, 3 refused.
/// @param blockNumber The latest block that the enclave knew, with blockHash.
/// @param time Unix seconds, a claim of the enclave.
/// @param detailsHash sha256 of the details' canonical JSON.
struct Receipt {
    bytes32 app;
    bytes32 manifest;
    uint64 keyVersion;
    uint64 epoch;
    bytes32 channel;
    uint64 sequence;
    bytes32 context;
    bytes32 requestHash;
    bytes32 inputCommitment;
    bytes32 outputCommitment;
    uint8 status;
    uint128 fee;
    uint128 cumulativeFee;
    uint64 blockNumber;
    bytes32 blockHash;
    uint64 time;
    bytes32 detailsHash;
}

/// @title ReceiptLib
/// @notice EIP-712 of the network's records and of receipts.
library ReceiptLib {
    uint8 internal constant STATUS_OK = 0;
    uint8 internal constant STATUS_APP_ERROR = 1;
    uint8 internal constant STATUS_LIMIT = 2;
    uint8 internal constant STATUS_REFUSED = 3;

    string internal constant DOMAIN_NAME = "Cloister";
    string internal constant DOMAIN_VERSION = "1";

    /// @dev Of the two above, as literals: hashes of constants would be computed at each call.
    bytes32 internal constant DOMAIN_NAME_HASH = keccak256("Cloister");
    bytes32 internal constant DOMAIN_VERSION_HASH = keccak256("1");

    bytes32 internal constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    bytes32 internal constant RECEIPT_TYPEHASH = keccak256(
        "Receipt(bytes32 app,bytes32 manifest,uint64 keyVersion,uint64 epoch,bytes32 channel,uint64 sequence,bytes32 context,bytes32 requestHash,bytes32 inputCommitment,bytes32 outputCommitment,uint8 status,uint128 fee,uint128 cumulativeFee,uint64 blockNumber,bytes32 blockHash,uint64 time,bytes32 detailsHash)"
    );

    bytes32 internal constant KEY_CONFIG_TYPEHASH =
        keccak256("KeyConfig(bytes32 configHash,uint64 notBefore,uint64 notAfter)");

    /// @notice The domain of a network's records: its chain and its WorkerRegistry.
    function domainSeparator(uint256 chainId, address registry) internal pure returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPEHASH, DOMAIN_NAME_HASH, DOMAIN_VERSION_HASH, chainId, registry));
    }

    /// @notice hashStruct of EIP-712.
    function hash(Receipt calldata receipt) internal pure returns (bytes32) {
        // Every field is a static word, so the struct's ABI encoding is its EIP-712 encoding.
        return keccak256(abi.encode(RECEIPT_TYPEHASH, receipt));
    }

    /// @notice What the receipt signer signs.
    function digest(Receipt calldata receipt, bytes32 separator) internal pure returns (bytes32) {
        return toDigest(separator, hash(receipt));
    }

    /// @notice What the receipt signer signs to announce an HPKE key.
    /// @param configHash keccak256 of the RFC 9458 key configuration.
    function keyConfigDigest(
        bytes32 configHash,
        uint64 notBefore,
        uint64 notAfter,
        bytes32 separator
    ) internal pure returns (bytes32) {
        return toDigest(separator, keccak256(abi.encode(KEY_CONFIG_TYPEHASH, configHash, notBefore, notAfter)));
    }

    /// @notice Who signed the receipt. Reverts with an ECDSA error of OpenZeppelin for a signature that is not 65 bytes
    /// r ‖ s ‖ v with v 27 or 28 and a low s.
    /// @dev Warning: any well-formed signature recovers to some address. Ask the registry whose it is.
    function recover(
        Receipt calldata receipt,
        bytes calldata signature,
        bytes32 separator
    ) internal pure returns (address) {
        return ECDSA.recover(digest(receipt, separator), signature);
    }

    /// @notice keccak256(0x1901 ‖ separator ‖ structHash).
    function toDigest(bytes32 separator, bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", separator, structHash));
    }
}
