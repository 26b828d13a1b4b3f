"""The `consilium` program: help for everyone, one line for every error, and exit codes that scripts can use."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

import consilium_command
from consilium_command import ROLES, main

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def outcome(words: list[str]) -> int:
    """Run a command in this process and return its exit code, also where argparse exits."""
    try:
        return main(words)
    except SystemExit as exit_request:
        return exit_request.code if isinstance(exit_request.code, int) else FAILED


@pytest.mark.parametrize("role", [[], *([role] for role in ROLES)])
def test_every_role_explains_itself_with_examples(role: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome([*role, "--help"]) == DONE
    shown = capsys.readouterr().out
    assert "examples:" in shown
    assert "consilium " + " ".join(role) in shown


@pytest.mark.parametrize(
    "words", [[], ["surgeon"], ["client"], ["client", "dance"], ["study", "status"], ["evm", "terms", "enact"]]
)
def test_wrong_usage_is_exit_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(words) == USAGE
    assert "usage: consilium" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["audit", "verify", "absent.zip", "--roots", "absent.pem"],
        ["audit", "verify"],
        ["audit", "tx", "No Transaction!", "--profile", "p"],
        ["audit", "certificates", "--at", "yesterday", "--profile", "p"],
        ["audit", "rounds", "heart", "--json", "--csv", "--profile", "p"],
    ],
)
def test_no_verdict_and_wrong_questions_are_exit_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Only an unsound trail is 1, so that a script can't take a mistake for a verdict."""
    assert outcome(words) == USAGE
    assert "Traceback" not in capsys.readouterr().err


def test_a_malformed_study_name_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["study", "status", "No Study!", "--profile", "p"]) == USAGE
    assert "'No Study!' isn't a study's name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["client", "run", "--config", "absent.yaml"], "no hospital configuration at absent.yaml"),
        (["client", "check", "--config", "absent.yaml"], "no hospital configuration at absent.yaml"),
        (["client", "sign-policy", "absent.yaml", "--profile", "p"], "no policy at absent.yaml"),
        (["study", "digest", "absent.yaml"], "no study file at absent.yaml"),
        (["study", "status", "heart", "--profile", "absent.yaml"], "absent.yaml"),
        (["model", "show", "absent.safetensors"], "no model at absent.safetensors"),
        (["aggregator", "run", "--profile", "absent.yaml", "--state", "s"], "absent.yaml"),
        (["network", "start", "--directory", "absent"], "absent"),
        (["network", "up", "--evm-terms", "absent.yaml"], "give --evm with it"),
        (["network", "up", "--evm", "--evm-terms", "absent.yaml"], "can't read the EVM's terms absent.yaml"),
        (["evm", "terms", "show", "--profile", "absent.yaml"], "no profile at absent.yaml"),
        (["evm", "terms", "approve", "absent.yaml", "--profile", "p"], "can't read the resolution absent.yaml"),
        (["evm", "bridge", "export", "1", "--out", "e.json", "--profile", "absent.yaml"], "no profile at absent.yaml"),
        (["evm", "bridge", "submit", "absent.json", "--rpc", "http://localhost"], "absent.json can't be read"),
        (["evm", "bridge", "status", "--rpc", "http://localhost"], "which bridge? name its --address"),
        (["audit", "rounds", "heart", "--profile", "absent.yaml"], "no profile at absent.yaml"),
        (["audit", "export", "--study", "heart", "--out", "t.zip", "--profile", "absent.yaml"], "absent.yaml"),
    ],
)
def test_an_expected_error_is_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert outcome(words) == FAILED
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.startswith("error: ")
    assert shown.count("\n") == 1


def run_raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    def register(parser: argparse.ArgumentParser) -> None:
        def fail(arguments: argparse.Namespace) -> int:
            raise error

        parser.set_defaults(run=fail)

    monkeypatch.setattr("consilium_client.commands.model.register", register)
    return main(["model"])


def test_ctrl_c_is_130_and_a_defect_is_named_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_raising(monkeypatch, KeyboardInterrupt()) == INTERRUPTED
    assert run_raising(monkeypatch, ZeroDivisionError("by zero")) == FAILED
    assert capsys.readouterr().err == "interrupted\nerror: unexpected ZeroDivisionError: by zero\n"


def test_a_role_whose_packages_are_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(module: str) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(consilium_command.importlib, "import_module", absent)
    with pytest.raises(SystemExit, match=r"needs torch, which isn't installed: pip install 'consilium\[client\]'"):
        main(["client", "run"])
