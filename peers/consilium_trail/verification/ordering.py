"""Step 3: a quorum of the orderers signed every block, under the configuration then in force.

The rule is that of Byzantine ordering: of n consenters at most f = ⌊(n−1)/3⌋ lie, and ⌈(n+f+1)/2⌉ signatures prove that
most honest ones agreed to this block at this height.
"""

from __future__ import annotations

from datetime import datetime

from consilium_trail.blocks.block import Block
from consilium_trail.blocks.configuration import ChannelConfiguration, Consenter
from consilium_trail.blocks.orderer_signatures import OrdererSignature
from consilium_trail.blocks.transactions import Signer
from consilium_trail.membership import Identity, Membership, NotAMemberError
from consilium_trail.verification.findings import Place, Step, UnsoundError
from consilium_trail.verification.moments import outside_period


def check_consenters(configuration: ChannelConfiguration, block: int) -> None:
    """Refuse a configuration under which no quorum can be told.

    Raises:
        UnsoundError: ordering isn't Byzantine, or there are no consenters.
    """
    if configuration.consensus != "BFT" or not configuration.consenters:
        raise UnsoundError(
            Step.ORDERERS,
            Place(block),
            f"the channel is ordered by {configuration.consensus or 'nobody'}; only Byzantine ordering proves an order",
        )


def check_quorum(block: Block, configuration: ChannelConfiguration, membership: Membership, moment: datetime) -> int:
    """Count the orderers' good signatures of a block and return how many there are.

    Raises:
        UnsoundError: fewer than a quorum. The reason says what was wrong with the others.
    """
    signed: set[bytes] = set()
    problems: list[str] = []
    header = block.header.encoded()
    for signature in block.signatures.signatures:
        message = block.signatures.value + signature.signed_header + header
        try:
            signed.add(_signer(signature, message, configuration, membership, moment).certificate)
        except NotAMemberError as problem:
            problems.append(str(problem))
    if len(signed) < configuration.quorum:
        wrong = f": {'; '.join(problems)}" if problems else ""
        raise UnsoundError(
            Step.ORDERERS,
            Place(block.number),
            f"{len(signed)} of {len(configuration.consenters)} orderers signed it, {configuration.quorum} must{wrong}",
        )
    return len(signed)


def check_last_configuration(block: Block, number: int) -> None:
    """Check that the orderers took the configuration of block `number` for the one in force.

    Raises:
        UnsoundError: they took another one: a configuration has been left out or put in.
        MalformedBlockError: what they signed says none.
    """
    said = block.signatures.last_configuration()
    if said != number:
        raise UnsoundError(
            Step.ORDERERS,
            Place(block.number),
            f"the orderers worked under the configuration of block {said}; the trail has that of block {number}",
        )


def _signer(
    signature: OrdererSignature,
    message: bytes,
    configuration: ChannelConfiguration,
    membership: Membership,
    moment: datetime,
) -> Identity:
    """Return whose a signature is; raise what is wrong with it. Whoever has two numbers is one certificate."""
    consenter = None if signature.consenter is None else configuration.consenters.get(signature.consenter)
    if consenter is None:
        raise NotAMemberError(f"there is no orderer {signature.consenter}")
    identity = membership.identity(Signer(_name(consenter), consenter.msp_id, consenter.identity))
    if not identity.trusted:
        raise NotAMemberError(f"the root of {consenter.msp_id} isn't among the trusted ones")
    if late := outside_period(identity, moment):
        raise NotAMemberError(late)
    if not identity.has_signed(signature.signature, message):
        raise NotAMemberError(f"the signature of orderer {consenter.number} ({consenter.msp_id}) isn't its own")
    return identity


def _name(consenter: Consenter) -> bytes:
    """Return what this consenter is remembered by; identities in transactions are never of this form."""
    return b"\xff consenter \xff" + consenter.msp_id.encode() + b"\0" + consenter.identity
