// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Governed} from "../governance/Governed.sol";
import {IPhaToken} from "../token/IPhaToken.sol";
import {IStorageRent} from "./IStorageRent.sol";

/// @title StorageRent
contract StorageRent is IStorageRent, Governed {
    using SafeERC20 for IPhaToken;

    uint256 public constant MAX_BATCH = 64;
    uint64 public constant MIN_SIZE = 1 << 20;
    uint64 public constant MAX_SIZE = 1 << 50;
    /// @dev More than two years of hours.
    uint48 public constant MAX_EPOCHS_AHEAD = 20_000;
    /// @dev With it, the largest size and the most epochs, no sum of a batch overflows.
    uint128 public constant MAX_PRICE = 1e27;

    uint256 private constant GIB = 1 << 30;

    /// @inheritdoc IStorageRent
    IPhaToken public immutable token;

    /// @inheritdoc IStorageRent
    uint64 public immutable genesis;

    /// @inheritdoc IStorageRent
    uint32 public immutable epochLength;

    /// @inheritdoc IStorageRent
    uint128 public price;

    /// @inheritdoc IStorageRent
    uint256 public rentals;

    /// @inheritdoc IStorageRent
    uint256 public totalHeld;

    mapping(uint256 rental => Rental) private _rentals;

    constructor(StorageRentSettings memory settings) Governed(settings.timelock) {
        if (address(settings.token).code.length == 0) revert StorageRentWithoutCode(address(settings.token));
        if (settings.epochLength == 0) revert StorageRentClockMissing();
        token = settings.token;
        genesis = settings.genesis;
        epochLength = settings.epochLength;
        _setPrice(settings.price);
    }

    /* PAYERS */

    /// @inheritdoc IStorageRent
    function prepay(Purchase[] calldata purchases, uint256 maxSum) external returns (uint256 first) {
        return _prepay(purchases, maxSum);
    }

    /// @inheritdoc IStorageRent
    function prepayWithPermit(
        Purchase[] calldata purchases,
        uint256 maxSum,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 first) {
        // Whether it worked, the transfer shows.
        try IERC20Permit(address(token)).permit(msg.sender, address(this), maxSum, deadline, v, r, s) {} catch {}
        return _prepay(purchases, maxSum);
    }

    /// @inheritdoc IStorageRent
    function cancel(uint256[] calldata ids) external {
        _checkBatch(ids.length);
        uint256 sum;
        for (uint256 i = 0; i < ids.length; ++i) {
            Rental storage kept = _known(ids[i]);
            if (msg.sender != kept.payer) revert StorageRentCallerNotPayer(msg.sender, kept.payer);
            uint48 until = _cancelledUntil(kept);
            if (until == kept.untilEpoch) revert StorageRentEnded(ids[i], until);
            uint256 refund = uint256(kept.untilEpoch - until) * kept.pricePerEpoch;
            kept.untilEpoch = until;
            sum += refund;
            emit Cancelled(ids[i], until, refund);
        }
        totalHeld -= sum;
        token.safeTransfer(msg.sender, sum);
    }

    /* GATEWAYS */

    /// @inheritdoc IStorageRent
    function collect(address gateway, uint256[] calldata ids) external {
        _checkBatch(ids.length);
        uint256 sum;
        for (uint256 i = 0; i < ids.length; ++i) {
            Rental storage kept = _known(ids[i]);
            if (kept.gateway != gateway) revert StorageRentOfAnotherGateway(ids[i], kept.gateway);
            uint48 past = _pastOf(kept);
            uint256 amount = uint256(past - kept.collectedUntil) * kept.pricePerEpoch;
            if (amount == 0) continue;
            kept.collectedUntil = past;
            sum += amount;
            emit Collected(ids[i], gateway, amount);
        }
        totalHeld -= sum;
        token.safeTransfer(gateway, sum);
    }

    /* GOVERNANCE */

    /// @inheritdoc IStorageRent
    function setPrice(uint128 price_) external onlyTimelock {
        _setPrice(price_);
    }

    /* VIEWS */

    /// @inheritdoc IStorageRent
    function pricePerEpoch(uint64 size) public view returns (uint128) {
        if (size < MIN_SIZE || size > MAX_SIZE) revert StorageRentSizeOutOfRange(size, MIN_SIZE, MAX_SIZE);
        // No truncation: at most MAX_PRICE times MAX_SIZE, in GiB.
        return uint128((uint256(size) * price + GIB - 1) / GIB);
    }

    /// @inheritdoc IStorageRent
    function rentalOf(uint256 rental) external view returns (Rental memory) {
        return _known(rental);
    }

    /// @inheritdoc IStorageRent
    function earned(uint256 rental) external view returns (uint256) {
        Rental storage kept = _known(rental);
        return uint256(_pastOf(kept) - kept.collectedUntil) * kept.pricePerEpoch;
    }

    /// @inheritdoc IStorageRent
    function refundable(uint256 rental) external view returns (uint256) {
        Rental storage kept = _known(rental);
        return uint256(kept.untilEpoch - _cancelledUntil(kept)) * kept.pricePerEpoch;
    }

    /// @inheritdoc IStorageRent
    function epoch() public view returns (uint48) {
        // No truncation: seconds since the genesis fit 48 bits.
        return block.timestamp < genesis ? 0 : uint48((block.timestamp - genesis) / epochLength);
    }

    /* INSIDE */

    function _prepay(Purchase[] calldata purchases, uint256 maxSum) private returns (uint256 first) {
        _checkBatch(purchases.length);
        first = rentals + 1;
        rentals += purchases.length;
        uint48 now_ = epoch();
        uint256 sum;
        for (uint256 i = 0; i < purchases.length; ++i) {
            if (purchases[i].app == 0 || purchases[i].gateway == address(0)) revert StorageRentPartyMissing(i);
            sum += _enter(first + i, purchases[i], now_);
        }
        if (sum > maxSum) revert StorageRentCostsMore(sum, maxSum);
        totalHeld += sum;
        token.safeTransferFrom(msg.sender, address(this), sum);
    }

    function _enter(uint256 id, Purchase calldata bought, uint48 now_) private returns (uint256 cost) {
        uint48 from = bought.fromEpoch > now_ ? bought.fromEpoch : now_;
        uint256 until = uint256(from) + bought.epochs;
        uint256 latest = uint256(now_) + MAX_EPOCHS_AHEAD;
        if (bought.epochs == 0 || until > latest) revert StorageRentEpochsOutOfRange(until, from, latest);
        uint128 perEpoch = pricePerEpoch(bought.size);
        _rentals[id] = Rental({
            payer: msg.sender,
            fromEpoch: from,
            untilEpoch: uint48(until),
            gateway: bought.gateway,
            collectedUntil: from,
            pricePerEpoch: perEpoch,
            size: bought.size,
            app: bought.app
        });
        emit Prepaid(id, bought.app, bought.gateway, msg.sender, bought.size, perEpoch, from, uint48(until));
        return uint256(bought.epochs) * perEpoch;
    }

    function _setPrice(uint128 price_) private {
        if (price_ == 0 || price_ > MAX_PRICE) revert StorageRentPriceOutOfRange(price_, MAX_PRICE);
        price = price_;
        emit PriceSet(price_);
    }

    function _known(uint256 rental) private view returns (Rental storage kept) {
        kept = _rentals[rental];
        if (kept.payer == address(0)) revert StorageRentUnknown(rental);
    }

    /// @dev Up to which epoch a rental has earned: never before {collectedUntil}, which is one that was past.
    function _pastOf(Rental storage kept) private view returns (uint48) {
        uint48 now_ = epoch();
        uint48 until = kept.untilEpoch;
        if (now_ > until) return until;
        return now_ > kept.collectedUntil ? now_ : kept.collectedUntil;
    }

    /// @dev Where it would end if it were cancelled now: the epoch of now stays paid if it has begun.
    function _cancelledUntil(Rental storage kept) private view returns (uint48) {
        uint48 next = epoch() + 1;
        if (next <= kept.fromEpoch) return kept.fromEpoch;
        return next < kept.untilEpoch ? next : kept.untilEpoch;
    }

    function _checkBatch(uint256 length) private pure {
        if (length == 0 || length > MAX_BATCH) revert StorageRentBatchOutOfRange(length, MAX_BATCH);
    }
}
