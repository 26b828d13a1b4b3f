"""Who can decrypt: registering a hospital's wrapping key and opening a study's key epoch."""

from __future__ import annotations

from collections.abc import Collection

from consilium_client.errors import KeyEpochError
from consilium_client.key_epochs import new_epoch, unwrap
from consilium_client.models import WRAPPING_KEY
from consilium_client.site import Site
from consilium_peers.errors import GatewayError
from consilium_peers.federation import Federation
from consilium_proto.records import HospitalKey, KeyEpoch, StudyView
from consilium_proto.refusals import RefusalCode


async def registered_key(federation: Federation, hospital: str) -> str | None:
    """Return a hospital's wrapping key (hex) from the ledger, or None when it hasn't registered one."""
    try:
        return (await federation.read_hospital_key(hospital)).wrapping_key
    except GatewayError as error:
        if error.refusal is RefusalCode.NOT_FOUND:
            return None
        raise


async def register_key(site: Site) -> None:
    """Make this hospital's wrapping key at the first call, and see to it that the ledger holds its public half."""
    public = site.keystore.x25519(WRAPPING_KEY).public_key().public_bytes_raw().hex()
    if await registered_key(site.federation, site.hospital) != public:
        await site.federation.register_hospital_key(HospitalKey(wrapping_key=public))


def opens(site: Site, epoch: KeyEpoch) -> bool:
    """Tell whether this hospital can open a key epoch.

    It can't when its wrapping key was lost or replaced since the epoch was opened, when the opener sealed something
    else to it, and when it isn't a holder.
    """
    try:
        unwrap(epoch, site.hospital, site.keystore.x25519(WRAPPING_KEY))
    except KeyEpochError:
        return False
    return True


async def open_epoch(
    federation: Federation, study: StudyView, without: Collection[str] = (), back: Collection[str] = ()
) -> bool:
    """Make the study's next key and wrap it to the holders of the newest epoch; False while one has no wrapping key.

    Who was removed stays removed, whoever renews the key for whatever reason: only `back` takes a participant in again.
    The seed is forgotten at once: like every holder, this hospital unwraps it from the ledger when it needs it.

    Args:
        federation: the ledger.
        study: the study; before its first epoch every participant becomes a holder.
        without: who shall no longer hold the key.
        back: who shall hold it again.
    """
    hospitals = (await federation.read_consortium()).hospitals
    chosen = {entry.hospital for entry in study.study.terms.participants}
    if study.key_epoch is not None:
        chosen = {wrapped.holder for wrapped in study.key_epoch.holders} | set(back)
    holders: dict[str, str] = {}
    for hospital in sorted(chosen & set(hospitals) - set(without)):
        key = await registered_key(federation, hospital)
        if key is None:
            return False
        holders[hospital] = key
    epoch, _seed = new_epoch(study.study.terms.study, study.head.epoch + 1, holders)
    await federation.open_key_epoch(epoch)
    return True
