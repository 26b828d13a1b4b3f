"""The command line: what it prints, and how it fails."""

import json
import subprocess
import sys
from pathlib import Path

from aggregator_world import ALPHA, BETA, CHUNKS, STUDY, World, chunk, manifest


def consilium(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "consilium_command", "aggregator", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


async def test_status_tells_what_a_store_holds(world: World) -> None:
    world.start_round()
    async with world.aggregator():
        await world.upload_all(ALPHA)
        async with world.stub(BETA) as stub:
            await stub.AnnounceManifest(manifest(BETA))
            await stub.UploadChunks(iter([chunk(BETA, 1)]))
        shown = consilium("status", "--state", world.store)
        (entry,) = json.loads(consilium("status", "--state", world.store, "--json").stdout)
    assert shown.stdout == f"{STUDY} round 1 attempt 0: sum 0/{CHUNKS}; {ALPHA} {CHUNKS}/{CHUNKS}, {BETA} 1/{CHUNKS}\n"
    assert entry["updates"] == {ALPHA: CHUNKS, BETA: 1}
    assert entry["stored_bytes"] == (CHUNKS + 1) * 32896


def test_expected_failures_are_one_line(tmp_path: Path) -> None:
    for words, code, said in (
        (("status", "--state", tmp_path), 1, "no store in"),
        (("run", "--profile", tmp_path / "none.yaml", "--state", tmp_path), 1, "no profile at"),
        (("run", "--state", tmp_path), 2, "--profile"),
    ):
        done = consilium(*words)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
        assert "Traceback" not in done.stderr
        if code == 1:
            assert done.stderr.count("\n") == 1


def test_an_aggregator_needs_no_training_libraries() -> None:
    program = (
        "import sys, consilium_aggregator.server, consilium_aggregator.command\n"
        "print([name for name in ('torch', 'pandas', 'opacus', 'sklearn', 'consilium_client') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
