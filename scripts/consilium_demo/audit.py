"""The demo's last step: the regulator exports the study's trail, which is then verified where there is no network."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

from consilium_demo.processes import StepError, command, run

VERIFY_SECONDS = 300
# As root, and as anybody on a system that allows namespaces of one's own.
_NAMESPACES = (["unshare", "--net"], ["unshare", "--map-root-user", "--net"])
_REPORTS = {"report/report.pdf": "trail-report.pdf", "report/report.html": "trail-report.html"}


def export(network: Path, study: str, folder: Path) -> None:
    """Export the trail as the regulator's compliance team; put it, its report and the trusted roots into `folder`."""
    regulator = network / "organizations" / "regulator"
    profile, trail = regulator / "profiles" / "compliance.yaml", folder / "trail.zip"
    print(run("audit", "export", "--study", study, "--out", trail, "--profile", profile), end="")
    shutil.copyfile(regulator / "channel" / "roots.pem", folder / "roots.pem")
    with zipfile.ZipFile(trail) as archive:
        for inside, beside in _REPORTS.items():
            (folder / beside).write_bytes(archive.read(inside))


def verify(folder: Path) -> dict[str, Any]:
    """Verify the trail in a network namespace without a network, where the system allows one.

    Returns:
        What result.json says of it.

    Raises:
        StepError: the trail isn't sound, or can't be read.
    """
    isolation = _isolation()
    words = [*isolation, *command(["audit", "verify", folder / "trail.zip", "--roots", folder / "roots.pem", "--json"])]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=VERIFY_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise StepError(f"the trail isn't verified after {VERIFY_SECONDS} s") from None
    if done.returncode != 0:
        raise StepError(f"the trail isn't sound: exit code {done.returncode}\n{(done.stdout or done.stderr).strip()}")
    answer = json.loads(done.stdout)
    verified = answer["verified"]
    rate = verified["endorsements"] / verified["seconds"]
    where = "without a network" if isolation else "beside the network: this system allows no network namespace"
    print(
        f"trail {answer['verdict']}, verified {where}: {verified['blocks']} blocks, {verified['endorsements']} "
        f"endorsements, {rate:.0f} a second"
    )
    return {
        "verified": answer["verdict"] == "sound",
        "endorsements": verified["endorsements"],
        "endorsements_per_second": rate,
        "blocks": verified["blocks"],
        "without_network": bool(isolation),
    }


def _isolation() -> list[str]:
    """Return the words before a command that leave it without a network; none where that isn't allowed."""
    for words in _NAMESPACES:
        try:
            if subprocess.run([*words, "true"], capture_output=True, check=False, timeout=10).returncode == 0:
                return words
        except (OSError, subprocess.TimeoutExpired):
            continue
    return []
