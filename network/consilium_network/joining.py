"""Joining the channel: orderers through their administration interface, peers through the system chaincode cscc."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import uuid

from consilium_network.errors import ChannelError
from consilium_network.layout import OrganizationFolder
from consilium_network.peer_administration import call_own_peer
from consilium_network.topology import Listener, Organization

_TIMEOUT_SECONDS = 30.0


async def join_orderer(organization: Organization, own: OrganizationFolder, block: bytes) -> None:
    """Make an organisation's orderer take part in the channel of that first block.

    Raises:
        ChannelError: it doesn't answer or refuses.
    """
    await asyncio.to_thread(_post_block, organization, own, block)


async def join_peer(own: OrganizationFolder, block: bytes) -> None:
    """Make an organisation's peer join the channel of that first block.

    Raises:
        ChannelError: it doesn't answer or refuses.
    """
    await call_own_peer(own.profile("admin"), "cscc", "JoinChain", block, error=ChannelError)


def _post_block(organization: Organization, own: OrganizationFolder, block: bytes) -> None:
    address = organization.address(Listener.ORDERER_ADMINISTRATION)
    boundary = uuid.uuid4().hex
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="config-block"; filename="config.block"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = head.encode() + block + f"\r\n--{boundary}--\r\n".encode()
    try:
        status, answer = _request(organization, own, body, boundary)
    except (OSError, http.client.HTTPException) as error:
        raise ChannelError(f"the orderer of {organization.name} does not answer at {address}: {error}") from None
    if status != http.client.CREATED:
        raise ChannelError(f"the orderer of {organization.name} refuses the channel: {_message(answer)}")


def _request(organization: Organization, own: OrganizationFolder, body: bytes, boundary: str) -> tuple[int, bytes]:
    admin = own.user("admin").tls
    context = ssl.create_default_context(cafile=str(own.tls_root))
    context.load_cert_chain(admin.certificate, admin.private_key)
    port = organization.port(Listener.ORDERER_ADMINISTRATION)
    connection = http.client.HTTPSConnection(organization.host, port, timeout=_TIMEOUT_SECONDS, context=context)
    try:
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        connection.request("POST", "/participation/v1/channels", body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _message(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace")[:300]
