"""The federation contract: chaincode `federation`.

Thin on purpose. Each function has the same four sections in the same order: who may (identity from the certificate,
never from an argument), what is read, what is checked, what is written and which event is emitted. The rules themselves
are in the files they call, as functions of records. Every function takes one argument, a record in canonical JSON (or
nothing), and returns a record or nothing; what it refuses, it refuses as a ChaincodeError that starts with a refusal
code.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from consilium_chaincode.federation.consortium_functions import ConsortiumFunctions
from consilium_chaincode.federation.readmission_functions import ReadmissionFunctions
from consilium_chaincode.federation.round_functions import RoundFunctions
from consilium_chaincode.federation.study_functions import StudyFunctions
from consilium_chaincode.federation.verification_functions import VerificationFunctions
from consilium_chaincode.privacy.functions import PrivacyFunctions


def endorser_clock() -> int:
    """Return this endorser's time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class FederationContract(
    ConsortiumFunctions,
    StudyFunctions,
    RoundFunctions,
    VerificationFunctions,
    ReadmissionFunctions,
    PrivacyFunctions,
):
    """All functions of the federation. Tests give a clock of their own."""

    def __init__(self, clock: Callable[[], int] = endorser_clock) -> None:
        super().__init__(clock)
