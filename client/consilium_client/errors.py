"""What can go wrong at a hospital's client. Every message names the value and what to do about it."""

from __future__ import annotations


class ClientError(Exception):
    """The base of the client's expected errors; the command line prints its message and exits."""


class QuantisationError(ClientError):
    """An update or a sum that can't be turned into integers or back: not finite, out of range, of a wrong shape."""


class PackingError(ClientError):
    """Values or slots that don't fit the parameter set, or padding of a sum that isn't zero."""


class MaskError(ClientError):
    """A mask that can't be made: a malformed or low-order key, too few hospitals, a context of somebody else."""


class EncryptionError(ClientError):
    """Slots that can't be encrypted, or chunks that can't be decrypted."""


class KeyEpochError(ClientError):
    """A key epoch that can't be made or opened: no key for this holder, a wrong key, a key that isn't committed to."""


class PolicyRefusalError(ClientError):
    """The hospital's own policy says no, or there is no valid policy, which means no."""


class KeystoreError(ClientError):
    """A secret at rest that can't be opened, or no passphrase to open it with."""


class JournalError(ClientError):
    """The hospital's own records contradict what is asked of them."""


class ConfigurationError(ClientError):
    """A configuration or study file with a field that is missing, unknown or of the wrong kind."""


class TermsMismatchError(ClientError):
    """The study on the ledger isn't the one in this hospital's study file."""


class ModelFileError(ClientError):
    """A model file that is missing, of another format, or doesn't have the hash it claims."""


class AggregatorRefusalError(ClientError):
    """An aggregator doesn't take a vector, or gives something else than it published."""


class AggregatorUnavailableError(ClientError):
    """No aggregator could be reached in time."""


class RoundOverError(AggregatorRefusalError):
    """Aggregators take no more uploads for a round: it is decided."""


class VectorMismatchError(AggregatorRefusalError):
    """What an aggregator serves as a vector isn't what its root on the ledger stands for."""


class VectorWithheldError(AggregatorUnavailableError):
    """A vector's root is on the ledger, and no aggregator serves the vector."""


class ChallengeError(ClientError):
    """The ledger's challenge isn't the one that follows from what was written: nothing may be answered to it."""


class FalseLedgerError(ClientError):
    """The ledger holds what the contract wouldn't write; the message names block, transaction and endorsers."""


class UnusableSumError(ClientError):
    """A verified sum that gives no model: its masks don't cancel, or a value is beyond what hospitals can add up to."""


class TableError(ClientError):
    """A table that doesn't follow the study's schema; the message names file, line, column and value."""


class TaskError(ClientError):
    """A training task that can't be loaded or trained."""


class TrainingError(ClientError):
    """A round whose training failed; it isn't trained a second time."""


class PrivacyError(ClientError):
    """A training that can't be made private, or would cost more than its budget."""
