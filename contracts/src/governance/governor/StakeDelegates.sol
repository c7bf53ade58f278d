// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

import {IStakeDelegates} from "./IStakeDelegates.sol";

/// @title StakeDelegates
contract StakeDelegates is IStakeDelegates, EIP712, Nonces {
    using Checkpoints for Checkpoints.Trace160;

    bytes32 private constant DELEGATION_TYPEHASH =
        keccak256("StakeDelegation(address account,address voter,uint256 nonce,uint256 expiry)");

    /// @dev Nothing, or zero: the account itself.
    mapping(address account => Checkpoints.Trace160) private _voters;

    constructor() EIP712("Cloister", "1") {}

    /// @inheritdoc IStakeDelegates
    function delegate(address voter) external {
        _delegate(msg.sender, voter);
    }

    /// @inheritdoc IStakeDelegates
    function delegateBySig(
        address account,
        address voter,
        uint256 nonce,
        uint256 expiry,
        bytes calldata signature
    ) external {
        if (block.timestamp > expiry) revert StakeDelegatesSignatureExpired(expiry, block.timestamp);
        bytes32 digest =
            _hashTypedDataV4(keccak256(abi.encode(DELEGATION_TYPEHASH, account, voter, nonce, expiry)));
        // Before a contract is asked: what it does meanwhile can't use the signature.
        _useCheckedNonce(account, nonce);
        if (!SignatureChecker.isValidSignatureNowCalldata(account, digest, signature)) {
            revert StakeDelegatesNotSigned(account, digest);
        }
        _delegate(account, voter);
    }

    /// @inheritdoc IStakeDelegates
    function useNonce() external {
        _useNonce(msg.sender);
    }

    /// @inheritdoc IStakeDelegates
    function voterOf(address account) public view returns (address) {
        return _orItself(_voters[account].latest(), account);
    }

    /// @inheritdoc IStakeDelegates
    function pastVoterOf(address account, uint256 timepoint) external view returns (address) {
        if (timepoint >= block.timestamp) revert StakeDelegatesFutureLookup(timepoint, uint48(block.timestamp));
        // No truncation: below the present time.
        return _orItself(_voters[account].upperLookupRecent(uint96(timepoint)), account);
    }

    function _delegate(address account, address voter) private {
        address present = voterOf(account);
        if (voter == address(0) || voter == present) revert StakeDelegatesUnchanged(account, present);
        _voters[account].push(uint96(block.timestamp), uint160(voter));
        emit StakeDelegated(account, voter);
    }

    function _orItself(uint160 voter, address account) private pure returns (address) {
        return voter == 0 ? account : address(voter);
    }
}
