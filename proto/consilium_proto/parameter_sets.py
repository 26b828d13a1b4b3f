"""The encryption parameters a study may choose, with the arithmetic that makes its sums exact. Pure Python.

All sets are BFV (Fan, Vercauteren 2012) with one coefficient prime q and a plaintext modulus t that is a power of two.
Only additions are done, so t needs no batching: `fields` quantised values are the digits of every plaintext coefficient
in base `field_base`, which is above the sum of all hospitals. A power of two makes fields of whole bits; a base just
above the largest sum (mixed radix) fits the same values into a smaller t, so that q can be smaller too.
"""

from __future__ import annotations

from dataclasses import dataclass

from consilium_proto.errors import UnknownParameterSetError, WireError

# SEAL draws fresh noise from a centred binomial distribution of 42 coins: every coefficient is at most 21 in size.
FRESH_NOISE_BOUND = 21
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
        field_base: the base of a coefficient's digits; the sum of all hospitals' values is below it.
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
    field_base: int
    max_hospitals: int
    security_bits: int
    seal_version: tuple[int, int]

    @property
    def values_per_chunk(self) -> int:
        """How many model parameters one chunk carries."""
        return self.degree * self.fields

    @property
    def word_bytes(self) -> int:
        """How many bytes a word below q takes."""
        return -(-self.modulus.bit_length() // 8)

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
        exactly when q/t > 2(21.5 K + 1). Digits don't spill into each other when K(2^b − 1) is below their base.

        Raises:
            InexactSumError: fewer than one hospital, or too many. The message says which bound is broken.
        """
        if hospitals < 1:
            raise InexactSumError(f"a sum needs at least one hospital, not {hospitals}")
        if hospitals * self.largest_value >= self.field_base:
            raise InexactSumError(
                f"{self.name}: the sum of {hospitals} values of {self.bits} bits overflows a field below "
                f"{self.field_base}; at most {self.max_hospitals} hospitals"
            )
        if not self.modulus > ((2 * FRESH_NOISE_BOUND + 1) * hospitals + 2) << self.plain_bits:
            raise InexactSumError(
                f"{self.name}: the noise of {hospitals} ciphertexts can exceed what decryption removes; "
                f"at most {self.max_hospitals} hospitals"
            )
        if hospitals > self.max_hospitals:
            raise InexactSumError(f"{self.name} is for at most {self.max_hospitals} hospitals, not {hospitals}")


# The largest primes below 2^56, 2^58 and 2^60 that are 1 modulo 2N = 8192: those that SEAL picks at degree 4096. The
# standard's bounds at that degree: 58 bits for 256-bit security, 75 for 192, classical, ternary key.
_PRIMES = {56: 72_057_594_037_641_217, 58: 288_230_376_151_130_113, 60: 1_152_921_504_606_830_593}
_SECURITY = {56: 256, 58: 256, 60: 192}


def _bfv_4096(
    name: str, prime_bits: int, plain_bits: int, bits: int, fields: int, field_base: int, max_hospitals: int
) -> ParameterSet:
    return ParameterSet(
        name=name,
        degree=4096,
        modulus=_PRIMES[prime_bits],
        plain_bits=plain_bits,
        bits=bits,
        fields=fields,
        field_base=field_base,
        max_hospitals=max_hospitals,
        security_bits=_SECURITY[prime_bits],
        seal_version=(4, 3),
    )


def _mixed_radix(bits: int, fields: int, hospitals: int = 10) -> ParameterSet:
    """The smallest base in which the sum of so many hospitals is a digit: 7 bytes a word instead of 8."""
    base = hospitals * ((1 << bits) - 1) + 1
    return _bfv_4096(f"bfv4096-q56-radix-b{bits}", 56, 47, bits, fields, base, hospitals)


PARAMETER_SETS: dict[str, ParameterSet] = {
    chosen.name: chosen
    for chosen in (
        _bfv_4096("bfv4096-q58-b8", 58, 48, 8, 4, 1 << 12, 16),
        _bfv_4096("bfv4096-q58-b12", 58, 48, 12, 3, 1 << 16, 16),
        _bfv_4096("bfv4096-q58-b20", 58, 48, 20, 2, 1 << 24, 16),
        _bfv_4096("bfv4096-q60-b12", 60, 48, 12, 2, 1 << 24, 64),
        _mixed_radix(8, 4),
        _mixed_radix(12, 3),
        _mixed_radix(20, 2),
    )
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
