"""An order: reserve, ship, confirm, one after the other, on the critical queue."""

from __future__ import annotations

from typing import Any

from celery import Signature, chain

from tasks.celery import app


class OutOfStockError(Exception):
    """The item cannot be delivered."""


# A reservation is kept by its order's number: made twice, it is the same reservation.
@app.task(acks_late=True, soft_time_limit=10, time_limit=15)
def reserve(order: str, item: str, quantity: int) -> dict[str, Any]:
    """Reserve the item."""
    if quantity < 1:
        raise OutOfStockError(f"{item}: nothing to reserve for {order}")
    return {"order": order, "item": item, "quantity": quantity, "reserved": True}


# Not acks_late: a parcel must not be sent twice, rather not at all.
@app.task(soft_time_limit=10, time_limit=15)
def ship(reservation: dict[str, Any]) -> dict[str, Any]:
    """Send the parcel."""
    return {**reservation, "parcel": f"PARCEL-{reservation['order']}"}


@app.task(acks_late=True, soft_time_limit=10, time_limit=15)
def confirm(shipment: dict[str, Any]) -> dict[str, Any]:
    """Tell the customer."""
    return {**shipment, "confirmed": True}


def order(number: str, item: str, quantity: int) -> Signature:
    """Return the chain for one order."""
    return chain(reserve.s(number, item, quantity), ship.s(), confirm.s())
