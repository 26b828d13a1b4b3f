"""What can go wrong while a network is set up or run. Every message says what was found and what to do about it."""

from __future__ import annotations


class NetworkError(Exception):
    """The base of this package's errors."""


class TopologyError(NetworkError):
    """A topology file that can't be read, or that describes no network that could work."""


class ProgramsError(NetworkError):
    """Fabric's programs are missing, of another release, or can't be built."""


class CertificateError(NetworkError):
    """A certificate or key is missing, unreadable or no longer valid."""


class PortInUseError(NetworkError):
    """Another process listens where a node of this network should."""


class ChannelError(NetworkError):
    """The channel's first block can't be made, or a node can't join the channel."""


class SupervisorError(NetworkError):
    """The supervisor isn't there, is there twice, or doesn't answer."""


class NodeError(NetworkError):
    """A node of the network doesn't start or doesn't answer in time."""


class LifecycleError(NetworkError):
    """A chaincode can't be packaged, installed, approved or committed."""


class ConsortiumError(NetworkError):
    """The consortium's first record can't be approved or enacted."""


class EvmTermsError(NetworkError):
    """The EVM's first terms can't be approved or enacted, or others are in force."""


class NetworkStateError(NetworkError):
    """The command doesn't fit the state of the network: nothing there, already there, or not running."""
