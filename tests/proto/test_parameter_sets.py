import pytest
from tenseal import sealapi

from consilium_proto import canonical
from consilium_proto.errors import MalformedMessageError, UnknownParameterSetError, WireError
from consilium_proto.parameter_sets import (
    MAX_CHUNKS,
    PARAMETER_SETS,
    InexactSumError,
    ParameterSet,
    parameter_set,
)
from consilium_proto.records import Identifier
from consilium_proto.seal_streams import MemoryFile, SealContext, SealStreamError

EVERY_SET = pytest.mark.parametrize("chosen", PARAMETER_SETS.values(), ids=PARAMETER_SETS)


class Named(canonical.Record, frozen=True):
    name: Identifier


def altered(chosen: ParameterSet, **changes: object) -> ParameterSet:
    fields = {name: getattr(chosen, name) for name in ParameterSet.__slots__}
    return ParameterSet(**{**fields, **changes})


@EVERY_SET
def test_names_can_stand_in_study_terms(chosen: ParameterSet) -> None:
    assert canonical.decode(Named, canonical.encode(Named(chosen.name))).name == chosen.name
    with pytest.raises(MalformedMessageError):
        canonical.decode(Named, canonical.encode(Named(chosen.name.upper())))


@EVERY_SET
def test_the_prime_is_the_one_that_seal_picks(chosen: ParameterSet) -> None:
    bits = chosen.modulus.bit_length()
    assert [prime.value() for prime in sealapi.CoeffModulus.Create(chosen.degree, [bits])] == [chosen.modulus]


@EVERY_SET
def test_seal_grants_the_claimed_security_and_no_more_bits(chosen: ParameterSet) -> None:
    level = getattr(sealapi.SEC_LEVEL_TYPE, f"TC{chosen.security_bits}")
    assert chosen.modulus.bit_length() <= sealapi.CoeffModulus.MaxBitCount(chosen.degree, level)
    with pytest.raises(SealStreamError, match="SEAL refuses"):
        SealContext(altered(chosen, degree=chosen.degree // 2, modulus=288230376151760897))


@EVERY_SET
def test_every_allowed_number_of_hospitals_is_exact_and_the_next_is_refused(chosen: ParameterSet) -> None:
    assert chosen.field_base**chosen.fields <= 2**chosen.plain_bits
    for hospitals in range(1, chosen.max_hospitals + 1):
        chosen.check_exact(hospitals)
        assert chosen.modulus / 2**chosen.plain_bits > 2 * (21.5 * hospitals + 1)
        assert hospitals * (2**chosen.bits - 1) < chosen.field_base
    for hospitals in (0, -1, chosen.max_hospitals + 1, 10**6):
        with pytest.raises(InexactSumError, match=str(hospitals)):
            chosen.check_exact(hospitals)


def test_the_noise_bound_is_checked_apart_from_the_field_bound() -> None:
    roomy = altered(parameter_set("bfv4096-q58-b8"), bits=2, max_hospitals=1000)
    roomy.check_exact(23)
    with pytest.raises(InexactSumError, match="noise"):
        roomy.check_exact(24)


@pytest.mark.parametrize("hospitals", [3, 16])
def test_the_noise_bound_is_sharp(hospitals: int) -> None:
    # q/t = 2(21.5 K + 1) isn't enough, anything above is.
    smallest = (43 * hospitals + 2) * 2**48
    parameter_set("bfv4096-q58-b8").check_exact(hospitals)
    altered(parameter_set("bfv4096-q58-b8"), modulus=smallest + 1).check_exact(hospitals)
    with pytest.raises(InexactSumError, match=f"noise of {hospitals} ciphertexts"):
        altered(parameter_set("bfv4096-q58-b8"), modulus=smallest).check_exact(hospitals)


def test_the_field_bound_is_checked_apart_from_the_hospitals_listed() -> None:
    generous = altered(parameter_set("bfv4096-q58-b8"), max_hospitals=1000)
    with pytest.raises(InexactSumError, match="overflows a field below 4096"):
        generous.check_exact(17)


def test_an_unknown_set_is_named_with_those_there_are() -> None:
    with pytest.raises(UnknownParameterSetError, match=r"'ckks'.*bfv4096-q58-b8, bfv4096-q58-b12, bfv4096-q58-b20"):
        parameter_set("ckks")


@EVERY_SET
def test_chunk_counts(chosen: ParameterSet) -> None:
    whole = chosen.values_per_chunk
    assert [chosen.chunk_count(n) for n in (1, whole - 1, whole, whole + 1)] == [1, 1, 1, 2]
    assert chosen.chunk_count(MAX_CHUNKS * whole) == MAX_CHUNKS
    for wrong in (0, -1, MAX_CHUNKS * whole + 1):
        with pytest.raises(WireError, match=str(wrong)):
            chosen.chunk_count(wrong)


def test_another_seal_than_the_set_is_for_is_refused() -> None:
    with pytest.raises(SealStreamError, match=r"defined by SEAL 4\.2, installed is 4\.3"):
        SealContext(altered(parameter_set("bfv4096-q58-b8"), seal_version=(4, 2)))


def test_seal_refuses_a_broken_stream_with_a_typed_error() -> None:
    context = SealContext(parameter_set("bfv4096-q58-b8"))
    with pytest.raises(SealStreamError, match="refuses the ciphertext"):
        MemoryFile().load(sealapi.Ciphertext(), context.seal, [b"nonsense"])
