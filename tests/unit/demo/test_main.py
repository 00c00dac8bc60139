from __future__ import annotations

from pathlib import Path

import pytest

from tasks.demo import __main__ as command
from tasks.demo.errors import DemoError
from tasks.demo.run import Options


def test_everything_has_a_default() -> None:
    assert command.parse([]) == Options(seconds=None, summary=None, data=Path("var/demo"))


def test_a_time_and_a_file_can_be_given() -> None:
    options = command.parse(["--for", "60", "--summary", "demo.json", "--data", "elsewhere"])

    assert options == Options(seconds=60.0, summary=Path("demo.json"), data=Path("elsewhere"))


@pytest.mark.parametrize("seconds", ["-1", "inf", "nan", "soon"])
def test_a_time_that_is_none_is_a_usage_error(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.parse(["--for", seconds])

    assert ended.value.code == 2
    assert "--for" in capsys.readouterr().err


def test_trouble_is_a_sentence_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_options: Options) -> int:
        raise DemoError("there is no Redis")

    monkeypatch.setattr("sys.argv", ["demo"])
    monkeypatch.setattr(command, "run", run)

    assert command.main() == 1
    assert capsys.readouterr().err == "The demo stopped: there is no Redis\n"
