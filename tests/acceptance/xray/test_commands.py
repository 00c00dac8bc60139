"""The commands as a stranger runs them: from another folder, with two URLs and without the project's code."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from celery import chord

from tests.integration.xray.stranger import (
    FOR_EVER,
    GROUP,
    HERE,
    Stranger,
    chords,
    finish,
    group_id,
    header_ids,
    start_chords,
)
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, celery, clean_environment, free_port, kill

FINISHED, OPEN = 600, 400
COMMANDS = ("list", "show", "check", "results", "report", "watch", "monitor", "doctor", "config")


@dataclass
class Crowd:
    """A thousand chords that are well, and one that hangs."""

    stranger: Stranger
    hung: Any

    @property
    def urls(self) -> tuple[str, str]:
        """Return where broker and backend are."""
        return self.stranger.broker_url, self.stranger.backend_url

    def ask(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command with more time for a look than a busy machine needs: what is asked here is what it sees."""
        return start_chords(*self.urls, *arguments, env=clean_environment(CHORDWATCH_LOOK_SECONDS="30"))


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    processes = Processes(tmp_path_factory.mktemp("crowd"))
    redis = RedisServer(processes)
    stranger = Stranger(redis, processes)
    workers = [
        stranger.worker("quick"),
        stranger.worker("slow", "--prefetch-multiplier", "1", queues="slow", concurrency=1),
    ]
    t = stranger.tasks
    t.app.set_current()
    with t.app.producer_pool.acquire() as producer:
        t.nap.apply_async((FOR_EVER,), queue="slow", producer=producer)
        for number in range(FINISHED):
            chord([t.add.s(number, n) for n in range(2)], t.collect.s()).apply_async(producer=producer)
        header = [t.add.s(1, 1), t.add.s(2, 2).set(queue="nobody"), t.add.s(3, 3)]
        hung = chord(header, t.collect.s()).apply_async(producer=producer)
        for number in range(OPEN):
            header = [t.add.s(number, n).set(queue="slow") for n in range(2)]
            chord(header, t.collect.s()).apply_async(producer=producer)
    done = f"{GROUP}{group_id(hung)}.j"
    wait_until(lambda: stranger.backend.zcard(done) == 2, "all that runs has run")
    wait_until(lambda: stranger.broker.llen("celery") == 0, "no callback waits")
    yield Crowd(stranger, hung)
    stranger.close()
    for worker in workers:
        kill(worker)
    processes.stop()
    redis.close()


def only_document(done: subprocess.CompletedProcess[str]) -> Any:
    """Return stdout as the one JSON document it must be."""
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


def test_list_finds_the_hung_chord_among_a_thousand(crowd: Crowd) -> None:
    started = [
        crowd.ask("list", "--health", "hung", "--format", "json"),
        crowd.ask("list", "--limit", "2000", "--format", "json"),
        crowd.ask("list", "--health", "hung"),
    ]
    hung, everything, table = (finish(process) for process in started)
    found = only_document(hung)
    healths = [chord["health"] for chord in only_document(everything)]

    assert [chord["chord_id"] for chord in found] == [group_id(crowd.hung)]
    assert [(gap["index"], gap["name"]) for gap in found[0]["missing"]] == [(1, "project.add")]
    assert [verdict["cause"] for verdict in found[0]["verdicts"]] == ["queue_unconsumed"]
    assert "header" not in found[0]
    assert (healths.count("hung"), healths.count("done")) == (1, FINISHED)
    assert healths.count("waiting") == OPEN
    assert group_id(crowd.hung) in table.stdout
    assert "2 of 3" in table.stdout
    assert "nobody" in table.stdout
    assert table.returncode == 0


def test_list_shows_at_most_so_many_the_oldest_open_first(crowd: Crowd) -> None:
    found = only_document(finish(crowd.ask("list", "--limit", "3", "--format", "json")))
    times = [chord["opened_at"] or chord["progressed_at"] for chord in found]

    assert len(found) == 3
    assert {chord["state"] for chord in found} == {"open"}
    assert times == sorted(times)


def test_show_agrees_by_group_by_callback_and_by_header_task(crowd: Crowd) -> None:
    ids = [group_id(crowd.hung), crowd.hung.id, *header_ids(crowd.hung)]
    started = [crowd.ask("show", id_, "--format", "json") for id_ in ids]
    seen = [timeless(only_document(finish(process))) for process in started]

    assert seen[0]["chord_id"] == group_id(crowd.hung)
    assert seen[0]["callback"]["task_id"] == crowd.hung.id
    assert [part["task_id"] for part in seen[0]["header"]] == header_ids(crowd.hung)
    assert all(one == seen[0] for one in seen)


def timeless(value: Any) -> Any:
    """Return a chord's JSON without what may differ between two looks: times, and texts that hold some."""
    if isinstance(value, dict):
        return {
            k: timeless(v) for k, v in value.items() if k != "evidence" and not k.endswith(("_at", "since"))
        }
    return [timeless(item) for item in value] if isinstance(value, list) else value


def test_check_names_the_hung_chord_and_exits_1(crowd: Crowd) -> None:
    started = [crowd.ask("check"), crowd.ask("check", "--format", "json")]
    table, parsed = (finish(process) for process in started)

    assert (table.returncode, parsed.returncode) == (1, 1)
    assert group_id(crowd.hung) in table.stdout
    assert [chord["chord_id"] for chord in only_document(parsed)] == [group_id(crowd.hung)]


def test_results_gives_the_parts_in_header_order_with_gaps(crowd: Crowd) -> None:
    started = [
        crowd.ask("results", crowd.hung.id, "--format", "json"),
        crowd.ask("results", crowd.hung.id),
    ]
    parsed, table = (finish(process) for process in started)
    rows = only_document(parsed)

    assert [(row["index"], row["state"], row["result"]) for row in rows] == [
        (0, "succeeded", 2),
        (1, "missing", None),
        (2, "succeeded", 6),
    ]
    assert [row["task_id"] for row in rows] == header_ids(crowd.hung)
    assert "missing" in table.stdout
    assert table.returncode == 0


def test_list_and_show_find_a_lost_message_as_explain_does(redis: RedisServer, processes: Processes) -> None:
    stranger = Stranger(redis, processes)
    worker = stranger.worker("quick")
    t = stranger.tasks
    lost = chord([t.add.s(1, 1), t.add.s(2, 2).set(queue="nobody")], t.collect.s()).apply_async()
    wait_until(lambda: stranger.counted(group_id(lost)) == 1, "one part is counted")
    stranger.broker.delete("nobody")

    urls, id_ = (stranger.broker_url, stranger.backend_url), group_id(lost)
    commands = (("explain", id_), ("show", id_), ("list",), ("list", "--health", "hung"))
    started = [start_chords(*urls, *command, "--format", "json") for command in commands]
    explained, shown, listed, hung = (only_document(finish(process)) for process in started)

    assert explained["health"] == "hung"
    causes = [verdict["cause"] for verdict in explained["verdicts"]]
    for found in (shown, *listed, *hung):
        assert found["chord_id"] == id_
        assert [verdict["cause"] for verdict in found["verdicts"]] == causes
    assert len(listed) == len(hung) == 1
    kill(worker)
    stranger.close()


def test_report_says_what_a_ticket_needs_and_no_host(crowd: Crowd) -> None:
    done = finish(crowd.ask("report", group_id(crowd.hung)))

    assert done.returncode == 0, done.stderr
    assert f"`{group_id(crowd.hung)}`" in done.stdout
    assert "2 of 3" in done.stdout
    assert "queue_unconsumed" in done.stdout.replace("\\", "")
    assert "Celery" in done.stdout or "celery" in done.stdout
    assert "here" not in done.stdout.replace("where", "").replace("there", "")  # the workers are NAME@here
    assert "127.0.0.1" not in done.stdout


def test_the_projects_own_app_sees_the_same(crowd: Crowd) -> None:
    command = celery("-A", "project", "chords", "list", "--health", "hung", "--format", "json")
    done = subprocess.run(
        command,
        cwd=HERE,
        env=crowd.stranger.environment(),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    assert [chord["chord_id"] for chord in only_document(done)] == [group_id(crowd.hung)]


@pytest.mark.parametrize(
    "backend", ["garbage", "db+sqlite:////no/such/folder/x.db", "nonsense://", "rediss://127.0.0.1:1/0"]
)
def test_a_result_backend_that_cannot_be_read_is_a_sentence_and_exit_3(crowd: Crowd, backend: str) -> None:
    done = finish(start_chords(crowd.urls[0], backend, "list"))

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("The result backend ")
    assert done.stderr.count("\n") == 1


def test_an_unknown_id_is_a_sentence_and_exit_1(crowd: Crowd) -> None:
    started = [crowd.ask(command, "no-such-id") for command in ("show", "results", "report")]
    for done in (finish(process) for process in started):
        assert (done.returncode, done.stdout) == (1, "")
        assert "No chord found for no-such-id" in done.stderr
        assert "Traceback" not in done.stderr


def test_notes_do_not_disturb_the_document(crowd: Crowd) -> None:
    crowd.stranger.broker.lpush("junk", "no message")
    crowd.stranger.broker.sadd("_kombu.binding.junk", "\x06\x16\x06\x16junk")
    done = finish(crowd.ask("list", "--health", "hung", "--format", "json"))
    crowd.stranger.broker.delete("junk", "_kombu.binding.junk")

    assert [chord["chord_id"] for chord in only_document(done)] == [group_id(crowd.hung)]
    assert "Note: Skipped 1 × damaged message." in done.stderr


def test_config_tells_values_and_their_origin(crowd: Crowd) -> None:
    env = clean_environment(CHORDWATCH_LOOK_SECONDS="2.5")
    done = chords(*crowd.urls, "config", env=env)
    line = next(line for line in done.stdout.splitlines() if "look_seconds" in line)

    assert done.returncode == 0
    assert "2.5" in line
    assert "environment" in line
    assert crowd.stranger.backend_url in done.stdout


@pytest.mark.parametrize("dead", ["broker", "backend"])
@pytest.mark.parametrize("command", [("list",), ("show", "some-id"), ("check",)])
def test_an_unreachable_server_is_named_without_its_password(
    redis: RedisServer, dead: str, command: tuple[str, ...]
) -> None:
    nowhere = f"redis://:open-sesame@127.0.0.1:{free_port()}/0"
    urls = (nowhere, redis.url(1)) if dead == "broker" else (redis.url(0), nowhere)
    done = chords(*urls, *command)

    assert (done.returncode, done.stdout) == (3, "")
    assert nowhere.rpartition("@")[2] in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "open-sesame" not in done.stderr


def test_without_the_store_what_can_be_seen_is_printed_and_the_exit_code_says_that_it_is_not_all(
    crowd: Crowd,
) -> None:
    address = f"127.0.0.1:{free_port()}/0"
    nowhere = f"redis://:open-sesame@{address}"
    env = clean_environment(CHORDWATCH_LOOK_SECONDS="30", CHORDWATCH_STORE_URL=nowhere)
    hung = group_id(crowd.hung)
    expected = {
        ("list", "--health", "hung"): (3, hung),
        ("show", hung): (3, hung),
        ("explain", hung): (3, hung),
        ("results", hung): (3, "missing"),
        ("report", hung): (3, hung),
        ("check",): (1, hung),
        ("show", "no-such-id"): (3, ""),
    }
    for (code, text), (command, done) in zip(
        expected.values(),
        [(command, finish(start_chords(*crowd.urls, *command, env=env))) for command in expected],
        strict=True,
    ):
        assert done.returncode == code, (command, done)
        assert text in done.stdout
        assert bool(text) == bool(done.stdout)
        assert f"Note: Nothing that was recorded is shown: the store at redis://**@{address}" in done.stderr
        assert "open-sesame" not in done.stdout + done.stderr


@pytest.mark.soak
def test_a_server_that_never_answers_is_unreachable_as_well(redis: RedisServer, processes: Processes) -> None:
    frozen = RedisServer(processes)
    frozen.process.send_signal(signal.SIGSTOP)
    started = [
        start_chords(frozen.url(0), redis.url(1), "list"),
        start_chords(redis.url(0), frozen.url(1), "list"),
    ]
    try:
        for done in [finish(process, 30) for process in started]:
            assert done.returncode == 3
            assert str(frozen.port) in done.stderr
            assert "Traceback" not in done.stderr
    finally:
        for process in started:
            process.kill()
        kill(frozen.process)
        frozen.close()


def test_passwords_are_shown_by_no_command(processes: Processes) -> None:
    redis = RedisServer(processes)
    redis.broker.config_set("requirepass", "open-sesame")
    broker, backend = (f"redis://:open-sesame@127.0.0.1:{redis.port}/{number}" for number in range(2))
    started = [start_chords(broker, backend, *c) for c in (("list",), ("config",), ("show", "x"), ("check",))]
    for done in [finish(process) for process in started]:
        assert done.returncode in (0, 1), done.stderr
        assert "open-sesame" not in done.stdout + done.stderr
    wrong = chords(broker.replace("sesame", "barley"), backend, "list")

    assert wrong.returncode == 3
    assert "open-barley" not in wrong.stderr
    redis.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--health", "sick"),
        ("list", "--limit", "0"),
        ("list", "--format", "xml"),
        ("show",),
        ("no-such-command",),
        ("monitor", "--interval", "abc"),
        ("monitor", "--interval", "0.01", "--port", "0"),
        ("monitor", "--port", "70000"),
    ],
)
def test_wrong_usage_is_exit_2(redis: RedisServer, arguments: tuple[str, ...]) -> None:
    done = chords(redis.url(0), redis.url(1), *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_a_setting_that_cannot_be_used_is_exit_2(redis: RedisServer) -> None:
    done = chords(
        redis.url(0), redis.url(1), "list", env=clean_environment(CHORDWATCH_LOOK_SECONDS="a while")
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert "CHORDWATCH_LOOK_SECONDS" in done.stderr


def test_a_backend_that_cannot_be_read_is_said_in_a_sentence_and_the_rest_goes_on(redis: RedisServer) -> None:
    done = chords(redis.url(0), "rpc://", "list", "--format", "json")

    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert "The result backend (RPCBackend) is none that can be read" in done.stderr


def test_every_command_has_help() -> None:
    started = [start_chords("redis://", "redis://", "--help")]
    started += [start_chords("redis://", "redis://", command, "--help") for command in COMMANDS]
    overview, *helps = (finish(process) for process in started)

    assert overview.returncode == 0
    assert all(f"  {command}" in overview.stdout for command in COMMANDS)
    for command, shown in zip(COMMANDS, helps, strict=True):
        assert shown.returncode == 0, shown.stderr
        assert f"chords {command}" in shown.stdout
