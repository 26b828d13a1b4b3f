"""What an update of the channel's configuration changed: the paths of the elements that it gave another version.

Fabric's rule (`common/configtx/update.go`): an update names what it read and what it writes; an element whose version
is higher among the written than among the read ones is new or changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from consilium_trail.blocks.configuration import ROOT, ConfigurationUpdate


def changed_elements(update: ConfigurationUpdate) -> list[str]:
    """Return the paths of groups, values and policies that the update created or changed, sorted."""
    before = dict(_versions(update.update.read_set, ROOT))
    after = dict(_versions(update.update.write_set, ROOT))
    return sorted(path for path, version in after.items() if version > before.get(path, -1))


def _versions(group: Any, path: str) -> Iterator[tuple[str, int]]:
    """Yield the version of a group and of everything in it; protocol buffers are parsed to a depth of 100 at most."""
    yield path, int(group.version)
    for kind in (group.values, group.policies):
        for name in kind:
            yield f"{path}/{name}", int(kind[name].version)
    for name in group.groups:
        yield from _versions(group.groups[name], f"{path}/{name}")
