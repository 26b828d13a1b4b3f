"""What each node said of a failed call: the gateway attaches it to the gRPC status."""

from __future__ import annotations

import grpc
from fabric_protos.gateway import gateway_pb2
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from consilium_peers.errors import PeerDetail

_KEY = "grpc-status-details-bin"
# google.rpc.Status {1: code, 2: message, 3: repeated Any details}, google.protobuf.Any {1: type, 2: value}
_STATUS_DETAILS = 3
_ANY_VALUE = 2


def peer_details(error: grpc.aio.AioRpcError) -> tuple[PeerDetail, ...]:
    """Return the nodes' messages, empty when there are none or they can't be read."""
    found: list[PeerDetail] = []
    for key, value in error.trailing_metadata() or ():
        if key == _KEY and isinstance(value, bytes):
            found.extend(_read(value))
    return tuple(found)


def _read(status: bytes) -> list[PeerDetail]:
    details = []
    for packed in _fields(status, _STATUS_DETAILS):
        for value in _fields(packed, _ANY_VALUE):
            try:
                detail = gateway_pb2.ErrorDetail.FromString(value)
            except DecodeError:
                continue
            details.append(PeerDetail(detail.msp_id, detail.address, detail.message))
    return details


def _fields(message: bytes, number: int) -> list[bytes]:
    """Return the length-delimited fields of that number, read as unknown fields of an empty message."""
    try:
        unknown = UnknownFieldSet(Empty.FromString(message))
    except DecodeError:
        return []
    return [field.data for field in unknown if field.field_number == number and isinstance(field.data, bytes)]
