"""The encryption parameters a study may choose, with the arithmetic that makes its sums exact. Pure Python.

All sets are BFV (Fan, Vercauteren 2012) with one coefficient prime q and plaintext modulus t = 2^48. Only additions
are done, so t needs no batching: `fields` quantised values lie side by side in every plaintext coefficient, each in
`field_width` bits, wide enough for the sum of all hospitals.
"""

from __future__ import annotations

from dataclasses import dataclass

from consilium_proto.errors import UnknownParameterSetError, WireError

# SEAL draws fresh noise from a centred binomial distribution of 42 coins: every coefficient is at most 21 in size.
FRESH_NOISE_BOUND = 21
# log2 of the plaintext modulus t of every set, so masks need no parameter set.
PLAIN_BITS = 48
# The manifest of a vector, and so every record that counts chunks, ends here.
MAX_CHUNKS = 2**24


class InexactSumError(WireError):
    """A parameter set under which the sum of so many hospitals could come out wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSet:
    """One choice of encryption and packing.

    Attributes:
        name: what studies and chunk headers call it.
        degree: N, the number of coefficients of a polynomial.
        modulus: q, the coefficient prime.
        plain_bits: log2 of the plaintext modulus t.
        bits: size of one hospital's quantised value.
        fields: values per coefficient.
        field_width: bits per field of a sum.
        max_hospitals: the most hospitals whose sum is exact for every draw of the noise.
        security_bits: classical security of (N, q) with a ternary key, HomomorphicEncryption.org standard (2018).
        seal_version: (major, minor) of the SEAL release whose seed expansion and streams the chunks follow.
    """

    name: str
    degree: int
    modulus: int
    plain_bits: int
    bits: int
    fields: int
    field_width: int
    max_hospitals: int
    security_bits: int
    seal_version: tuple[int, int]

    @property
    def values_per_chunk(self) -> int:
        """How many model parameters one chunk carries."""
        return self.degree * self.fields

    @property
    def largest_value(self) -> int:
        """The largest quantised value of one hospital, 2^b − 1."""
        return (1 << self.bits) - 1

    def chunk_count(self, parameters: int) -> int:
        """Return how many chunks a vector of `parameters` values takes.

        Raises:
            WireError: fewer than one value, or more than a manifest can list.
        """
        if parameters < 1:
            raise WireError(f"a vector has at least one parameter, not {parameters}")
        chunks = -(-parameters // self.values_per_chunk)
        if chunks > MAX_CHUNKS:
            raise WireError(f"{parameters} parameters take {chunks} chunks of {self.name}; at most {MAX_CHUNKS} fit")
        return chunks

    def check_exact(self, hospitals: int) -> None:
        """Refuse a number of hospitals whose sum isn't exact for every draw of the noise.

        Each ciphertext adds at most 21 of noise and 1/2 of rounding, decryption rounds once more; so a sum decrypts
        exactly when q/t > 2(21.5 K + 1). Fields don't spill into each other when K(2^b − 1) < 2^w.

        Raises:
            InexactSumError: fewer than one hospital, or too many. The message says which bound is broken.
        """
        if hospitals < 1:
            raise InexactSumError(f"a sum needs at least one hospital, not {hospitals}")
        if hospitals * self.largest_value >= 1 << self.field_width:
            raise InexactSumError(
                f"{self.name}: the sum of {hospitals} values of {self.bits} bits overflows a field of "
                f"{self.field_width} bits; at most {self.max_hospitals} hospitals"
            )
        if not self.modulus > ((2 * FRESH_NOISE_BOUND + 1) * hospitals + 2) << self.plain_bits:
            raise InexactSumError(
                f"{self.name}: the noise of {hospitals} ciphertexts can exceed what decryption removes; "
                f"at most {self.max_hospitals} hospitals"
            )
        if hospitals > self.max_hospitals:
            raise InexactSumError(f"{self.name} is for at most {self.max_hospitals} hospitals, not {hospitals}")


# The largest prime below 2^58 that is 1 modulo 2N = 8192: the one SEAL picks for 58 bits at degree 4096.
_PRIME_58 = 288_230_376_151_130_113


def _bfv_4096(bits: int, fields: int, field_width: int) -> ParameterSet:
    return ParameterSet(
        name=f"bfv4096-q58-b{bits}",
        degree=4096,
        modulus=_PRIME_58,
        plain_bits=PLAIN_BITS,
        bits=bits,
        fields=fields,
        field_width=field_width,
        max_hospitals=16,
        security_bits=256,
        seal_version=(4, 3),
    )


PARAMETER_SETS: dict[str, ParameterSet] = {
    chosen.name: chosen for chosen in (_bfv_4096(8, 4, 12), _bfv_4096(12, 3, 16), _bfv_4096(20, 2, 24))
}


def parameter_set(name: str) -> ParameterSet:
    """Return the parameter set of that name.

    Raises:
        UnknownParameterSetError: this release has none of that name; the message lists those it has.
    """
    found = PARAMETER_SETS.get(name)
    if found is None:
        raise UnknownParameterSetError(f"unknown parameter set {name!r}; this release has {', '.join(PARAMETER_SETS)}")
    return found
