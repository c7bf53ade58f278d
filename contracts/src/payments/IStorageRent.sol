// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPhaToken} from "../token/IPhaToken.sol";

interface IStorageRentTypes {
    struct StorageRentSettings {
        address timelock;
        IPhaToken token;
        /// Of epoch 0, unix seconds.
        uint64 genesis;
        /// Seconds.
        uint32 epochLength;
        /// Of a GiB for an epoch.
        uint128 price;
    }

    struct Purchase {
        /// Whose blobs are kept.
        bytes32 app;
        /// Account that the gateway names, which earns.
        address gateway;
        /// Bytes.
        uint64 size;
        /// First epoch that is paid; the one of now where that is past.
        uint48 fromEpoch;
        uint48 epochs;
    }

    struct Rental {
        // ### 1st slot
        address payer;
        uint48 fromEpoch;
        /// First epoch that is no longer paid.
        uint48 untilEpoch;
        // ### 2nd slot
        address gateway;
        /// What the gateway earned before this epoch it has collected.
        uint48 collectedUntil;
        // ### 3rd slot
        uint128 pricePerEpoch;
        uint64 size;
        // ### 4th slot
        bytes32 app;
    }
}

interface IStorageRentErrors {
    error StorageRentWithoutCode(address account);
    error StorageRentClockMissing();
    error StorageRentPriceOutOfRange(uint256 price, uint256 maximum);
    error StorageRentBatchOutOfRange(uint256 length, uint256 maximum);
    error StorageRentPartyMissing(uint256 index);
    error StorageRentSizeOutOfRange(uint256 size, uint256 minimum, uint256 maximum);
    error StorageRentEpochsOutOfRange(uint256 untilEpoch, uint256 fromEpoch, uint256 maximum);
    error StorageRentCostsMore(uint256 sum, uint256 maximum);
    error StorageRentUnknown(uint256 rental);
    error StorageRentCallerNotPayer(address caller, address payer);
    error StorageRentEnded(uint256 rental, uint256 untilEpoch);
    error StorageRentOfAnotherGateway(uint256 rental, address gateway);
}

interface IStorageRentEvents {
    /// @param untilEpoch First epoch that is no longer paid.
    event Prepaid(
        uint256 indexed rental,
        bytes32 indexed app,
        address indexed gateway,
        address payer,
        uint64 size,
        uint128 pricePerEpoch,
        uint48 fromEpoch,
        uint48 untilEpoch
    );

    /// @param untilEpoch First epoch that is no longer paid now.
    event Cancelled(uint256 indexed rental, uint48 untilEpoch, uint256 refund);
    event Collected(uint256 indexed rental, address indexed gateway, uint256 amount);
    event PriceSet(uint128 price);
}

/// @title IStorageRent
/// @notice Storage at gateways, paid in advance in PHA: a rental is so many bytes for one app at one gateway from one epoch up to
/// another. Amounts in the token's smallest unit, sizes in bytes.
/// @dev Invariants. A rental holds its price for the epochs that are neither collected nor given back, and nothing else:
/// {totalHeld} is their sum, and the balance is no less. A rental never changes but by ending sooner; more bytes or more epochs
/// are another rental. Its price is that of its purchase.
/// Whether a gateway keeps what it is paid for can't be seen here: a payer that finds it doesn't loses the epoch of then.
/// No pause, and no way by which one party keeps another from its money: what a gateway earned waits for it, what a payer gets
/// back is paid at once.
interface IStorageRent is IStorageRentTypes, IStorageRentErrors, IStorageRentEvents {
    /// @notice Pays for storage at several gateways by the caller's allowance. Anyone, for any app; what is given back is the
    /// caller's.
    /// @param purchases At most MAX_BATCH.
    /// @param maxSum What they may cost together: the price may have been raised since it was asked for.
    /// @return first Id of the first rental; the others follow.
    function prepay(Purchase[] calldata purchases, uint256 maxSum) external returns (uint256 first);

    /// @notice The same with the caller's ERC-2612 permit for `maxSum`.
    /// @dev A permit that fails is passed over where the allowance suffices: somebody may have used it before.
    function prepayWithPermit(
        Purchase[] calldata purchases,
        uint256 maxSum,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 first);

    /// @notice Ends rentals with the epoch of now, or before they begin, and gives back what later epochs would have cost. Their
    /// payer.
    function cancel(uint256[] calldata rentals) external;

    /// @notice Pays a gateway what its rentals earned in past epochs. Anyone.
    /// @param rentals All the gateway's, at most MAX_BATCH; one that earned nothing since is passed over.
    function collect(address gateway, uint256[] calldata rentals) external;

    /// @notice What a GiB costs for an epoch in later purchases. Timelock only.
    function setPrice(uint128 price) external;

    /// @notice What an epoch of so many bytes costs now, rounded up. Throws for a size that can't be bought.
    function pricePerEpoch(uint64 size) external view returns (uint128);
    function rentalOf(uint256 rental) external view returns (Rental memory);

    /// @notice What a rental earned in past epochs and was not collected.
    function earned(uint256 rental) external view returns (uint256);

    /// @notice What the payer would get back now.
    function refundable(uint256 rental) external view returns (uint256);

    /// @notice Rentals ever made: their ids are 1 to this.
    function rentals() external view returns (uint256);

    /// @notice What is held for anyone.
    function totalHeld() external view returns (uint256);

    /// @notice The epoch of now, 0 before the first.
    function epoch() external view returns (uint48);
    function price() external view returns (uint128);
    function token() external view returns (IPhaToken);
    function genesis() external view returns (uint64);
    function epochLength() external view returns (uint32);
    function MAX_BATCH() external view returns (uint256);
    function MIN_SIZE() external view returns (uint64);
    function MAX_SIZE() external view returns (uint64);
    function MAX_EPOCHS_AHEAD() external view returns (uint48);
    function MAX_PRICE() external view returns (uint128);
}
