"""What a program on fabric-sdk-py does with a network of ours; runs in that SDK's own environment and prints JSON.

Arguments: the organisation's connection profile, channel, MSP id, chaincode. Nothing here can import Consilium: the SDK
needs protobuf 3.
"""

import asyncio
import json
import logging
import sys
from typing import Any

from hfc.fabric import Client

DEADLINE_SECONDS = 60


class Session:
    """One user of one organisation on one channel."""

    def __init__(self, profile: str, channel: str, organization: str, chaincode: str) -> None:
        self.client = Client(net_profile=profile)
        self.channel = self.client.new_channel(channel)
        self.user = self.client.get_user(organization, "client")
        self.own = self.client.get_net_info("organizations", organization, "peers")[0]
        self.endorsers = [name for name in self.client.peers if name not in ("peer.regulator",)]
        self.place = {"requestor": self.user, "channel_name": channel}
        self.chaincode = chaincode

    async def invoke(self, function: str, *arguments: str) -> Any:
        return await self.client.chaincode_invoke(
            **self.place,
            peers=self.endorsers,
            cc_name=self.chaincode,
            fcn=function,
            args=list(arguments),
            wait_for_event=True,
        )

    async def query(self, function: str, *arguments: str) -> Any:
        return await self.client.chaincode_query(
            **self.place, peers=[self.own], cc_name=self.chaincode, fcn=function, args=list(arguments)
        )

    async def blocks(self) -> dict[str, Any]:
        """The ledger's height, and what a block and a transaction look like once the SDK has decoded them."""
        place = {**self.place, "peers": [self.own]}
        info = await self.client.query_info(**place)
        block = await self.client.query_block(**place, block_number=str(info.height - 1), decode=True)
        header = block["data"]["data"][0]["payload"]["header"]["channel_header"]
        transaction = await self.client.query_transaction(**place, tx_id=header["tx_id"], decode=True)
        return {
            "height": info.height,
            "newest": int(block["header"]["number"]),
            "channel": header["channel_id"],
            "code": transaction["validation_code"],
        }

    async def events(self, function: str, *arguments: str) -> list[dict[str, Any]]:
        """Follow chaincode events by mutual TLS while one is caused; return what came."""
        seen: list[dict[str, Any]] = []
        came = asyncio.Event()

        def note(event: dict[str, Any], block: int, tx_id: str, status: str) -> None:
            seen.append({"name": event["event_name"], "payload": event["payload"].decode(), "block": int(block)})
            came.set()

        hub = self.channel.newChannelEventHub(self.client.get_peer(self.own), self.user)
        stream = asyncio.ensure_future(hub.connect(filtered=False))
        hub.registerChaincodeEvent(self.chaincode, ".*", onEvent=note)
        await self.invoke(function, *arguments)
        await came.wait()
        hub.disconnect()
        stream.cancel()
        return seen


async def main(profile: str, channel: str, organization: str, chaincode: str) -> dict[str, Any]:
    session = Session(profile, channel, organization, chaincode)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return {
                "written": await session.invoke("Put", "sdk-key", "sdk value"),
                "read": await session.query("Get", "sdk-key"),
                "peers": sorted(session.client.peers),
                "blocks": await session.blocks(),
                "events": await session.events("Emit", "sdk-event", "sdk payload"),
            }
    finally:
        await session.client.close_grpc_channels()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
