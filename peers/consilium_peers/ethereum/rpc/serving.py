"""A server put together: gateway, index, pool, methods, sockets; each stops in the order in which others need it."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from consilium_peers.ethereum.rpc.callers import ANY_ORIGIN, Callers, is_loopback
from consilium_peers.ethereum.rpc.channel_blocks import ChannelBlocks, Progress
from consilium_peers.ethereum.rpc.errors import RpcError, ServingError
from consilium_peers.ethereum.rpc.filters import Arrivals, Filters
from consilium_peers.ethereum.rpc.http_server import HttpServer
from consilium_peers.ethereum.rpc.identity_sending import IdentitySending
from consilium_peers.ethereum.rpc.ledger import EvmLedger
from consilium_peers.ethereum.rpc.method_table import Methods, method_table
from consilium_peers.ethereum.rpc.methods.blocks import BlockMethods
from consilium_peers.ethereum.rpc.methods.calls import CallMethods
from consilium_peers.ethereum.rpc.methods.chain import ChainMethods
from consilium_peers.ethereum.rpc.methods.logs import LogMethods
from consilium_peers.ethereum.rpc.methods.sending import SendingMethods
from consilium_peers.ethereum.rpc.methods.state import StateMethods
from consilium_peers.ethereum.rpc.pool import Pool
from consilium_peers.ethereum.rpc.pool_journal import PoolJournal
from consilium_peers.ethereum.rpc.sending import PATIENCE_SECONDS, Sending
from consilium_peers.ethereum.rpc.state_folder import open_state
from consilium_peers.ethereum.rpc.subscriptions import Subscriptions
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile
from consilium_proto.ethereum.scalars import EVM_CHAINCODE

log = logging.getLogger("consilium.ethereum")

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class ServingOptions:
    """How to serve.

    Attributes:
        host, port: where to listen; port 0 stands for a free one.
        state: the server's folder; None stands for one that ends with the server.
        callers: who may ask.
        identity: whether to act for the profile's own identity, which nobody but this machine's programs may use.
        patience: seconds for which a transaction that is next in line is tried.
    """

    host: str = "127.0.0.1"
    port: int = 8545
    state: Path | None = None
    callers: Callers = field(default_factory=Callers)
    identity: bool = True
    patience: float = PATIENCE_SECONDS

    @property
    def acts(self) -> bool:
        """Whether transactions of the own identity are taken: never from other machines."""
        return self.identity and is_loopback(self.host)

    def check(self) -> None:
        """Refuse what would hand the identity to any web page.

        Raises:
            ServingError: so it would.
        """
        if self.acts and ANY_ORIGIN in self.callers.origins:
            raise ServingError(
                "with --allow-origin '*' any web page could act as this identity; name the origins, or add "
                "--no-identity"
            )


@dataclass(frozen=True)
class RunningServer:
    """A server that listens at `address` (host:port). `following` ends only with it, or with an error."""

    address: str
    chain_id: int
    account: str | None
    resumed: int
    following: asyncio.Task[None]


@asynccontextmanager
async def running_server(
    profile: Profile, options: ServingOptions, progress: Progress, say: Say
) -> AsyncIterator[RunningServer]:
    """Serve as long as the block lasts; at its end, let what is on its way arrive.

    `progress` hears of blocks while they are indexed, `say` of what a person should know.

    Raises:
        PeersError: the profile, the folder, the address or the channel can't be used.
    """
    options.check()
    async with AsyncExitStack() as stack:
        state = stack.enter_context(open_state(options.state))
        writer = (await stack.enter_async_context(Gateway.connect(profile))).network()
        reader = (await stack.enter_async_context(Gateway.connect(own_peers(profile)))).network()
        blocks = ChannelBlocks(reader, state.index)
        await blocks.catch_up(progress)
        ledger = EvmLedger(reader.contract(EVM_CHAINCODE), writer.contract(EVM_CHAINCODE))
        chain_id, account = await _introduction(ledger, profile)
        following = asyncio.create_task(blocks.follow())
        stack.push_async_callback(_cancelled, following)

        node = assembled(ledger, blocks, state.journal, options, chain_id, account)
        stack.push_async_callback(_drained, node.sending, options, say)
        resumed = node.sending.resume()
        port = await stack.enter_async_context(node.server.listening(options.host, options.port))
        host = f"[{options.host}]" if ":" in options.host else options.host
        yield RunningServer(f"{host}:{port}", chain_id, account if options.acts else None, resumed, following)


def own_peers(profile: Profile) -> Profile:
    """Return the profile with its own organisation's peers alone: nobody else vouches for what one peer says.

    Raises:
        ServingError: the organisation has none.
    """
    own = tuple(each for each in profile.gateways if each.organization == profile.organization)
    if not own:
        raise ServingError(
            f"the profile names no peer of {profile.organization} itself; what another organisation's peer answers, "
            "nobody vouches for: use the profile of an organisation with a peer"
        )
    return dataclasses.replace(profile, gateways=own)


async def _introduction(ledger: EvmLedger, profile: Profile) -> tuple[int, str]:
    """Return the chain's id and the identity's address."""
    try:
        return (await ledger.terms()).chain_id, await ledger.own_address()
    except RpcError as error:
        raise ServingError(f"the EVM on channel {profile.channel} can't be asked: {error.message}") from None


@dataclass(frozen=True)
class Node:
    """What answers: the methods, what carries transactions, and the server that listens."""

    methods: Methods
    sending: Sending
    server: HttpServer


def assembled(
    ledger: EvmLedger,
    blocks: ChannelBlocks,
    journal: PoolJournal,
    options: ServingOptions,
    chain_id: int,
    account: str,
) -> Node:
    """Put the parts together; `account` is the identity's address."""
    index, pool = blocks.index, Pool()
    sending = Sending(ledger, blocks, pool, journal, options.patience)
    identity = IdentitySending(ledger, blocks, account, chain_id) if options.acts else None
    methods = method_table(
        ChainMethods(index, chain_id, f"Consilium/{version('consilium')}", (account,) if identity else ()),
        BlockMethods(index, pool),
        StateMethods(ledger, index, pool),
        CallMethods(ledger, index),
        LogMethods(index, Filters(), Arrivals(pool)),
        SendingMethods(sending, identity),
    )
    server = HttpServer(methods, lambda tell: Subscriptions(blocks, pool, tell), options.callers)
    return Node(methods, sending, server)


async def _drained(sending: Sending, options: ServingOptions, say: Say) -> None:
    if len(sending.pool):
        say(f"{len(sending.pool)} transactions wait; letting those arrive that are on their way")
    left = await sending.drain()
    if left:
        kept = f"the next server on {options.state} goes on with them" if options.state else "they are lost: no --state"
        say(f"{left} transactions are left; {kept}")


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
