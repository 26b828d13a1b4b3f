"""The pairing of BLS12-381, 0x0F (EIP-2537). py-ecc."""

from __future__ import annotations

from py_ecc.optimized_bls12_381 import FQ12, final_exponentiate, pairing

from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.frame import Frame
from consilium_chaincode.evm.gas import BLS12_PAIRING_GAS, BLS12_PAIRING_PAIR_GAS
from consilium_chaincode.evm.precompiles.bls12_points import G1_BYTES, G2_BYTES, read_g1, read_g2, split
from consilium_chaincode.evm.state_keys import Reading, Turn


def bls12_pairing(frame: Frame) -> Reading[bytes]:
    """Read pairs of a point of G1 and one of G2; return whether their pairings' product is one, in 32 bytes.

    Raises:
        PrecompileFailure: no whole pairs, or not points of these groups.
    """
    # GAS
    pairs = split(frame.message.data, G1_BYTES + G2_BYTES)
    charge_gas(frame, BLS12_PAIRING_GAS + BLS12_PAIRING_PAIR_GAS * len(pairs))

    # OPERATION
    product = FQ12.one()
    for pair in pairs:
        first, second = read_g1(pair[:G1_BYTES], in_group=True), read_g2(pair[G1_BYTES:], in_group=True)
        product *= pairing(second, first, final_exponentiate=False)
        yield Turn()
    is_one = final_exponentiate(product) == FQ12.one()
    return int(is_one).to_bytes(32, "big")
