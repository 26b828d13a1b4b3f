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
from consilium_trail.membership import Membership, NotAMemberError
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
    signed: set[int] = set()
    problems: list[str] = []
    header = block.header.encoded()
    for signature in block.signatures.signatures:
        message = block.signatures.value + signature.signed_header + header
        problem = _problem(signature, message, configuration, membership, moment)
        if problem:
            problems.append(problem)
        elif signature.consenter is not None:
            signed.add(signature.consenter)
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


def _problem(
    signature: OrdererSignature,
    message: bytes,
    configuration: ChannelConfiguration,
    membership: Membership,
    moment: datetime,
) -> str:
    """Say what is wrong with a signature; nothing if it is good."""
    consenter = None if signature.consenter is None else configuration.consenters.get(signature.consenter)
    if consenter is None:
        return f"there is no orderer {signature.consenter}"
    try:
        identity = membership.identity(Signer(_name(consenter), consenter.msp_id, consenter.identity))
    except NotAMemberError as error:
        return str(error)
    if not identity.trusted:
        return f"the root of {consenter.msp_id} isn't among the trusted ones"
    if late := outside_period(identity, moment):
        return late
    if not identity.has_signed(signature.signature, message):
        return f"the signature of orderer {consenter.number} ({consenter.msp_id}) isn't its own"
    return ""


def _name(consenter: Consenter) -> bytes:
    """Return what this consenter is remembered by; identities in transactions are never of this form."""
    return b"\xff consenter \xff" + consenter.msp_id.encode() + b"\0" + consenter.identity
