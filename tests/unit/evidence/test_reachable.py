"""What a server that cannot be read makes of an error."""

from __future__ import annotations

import pytest
import redis
from kombu.exceptions import OperationalError

from chordwatch.errors import ServerName, UnreachableError
from chordwatch.evidence.polling import answering
from chordwatch.evidence.reachable import reading

PROBLEMS = (
    redis.exceptions.AuthenticationError("invalid password"),
    redis.exceptions.NoPermissionError("this user has no permissions"),
    redis.exceptions.TimeoutError("timed out"),
    OperationalError("connection refused"),
    OSError("no route"),
)


@pytest.mark.parametrize("server", ["broker", "result backend"])
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: type(problem).__name__)
def test_the_error_says_which_server_it_is(problem: Exception, server: ServerName) -> None:
    with (
        pytest.raises(UnreachableError, match=f"^The {server} at redis://db/0 ") as raised,
        reading(server, "redis://db/0"),
    ):
        raise problem

    assert raised.value.server == server


def test_a_backend_of_any_kind_is_the_result_backend() -> None:
    class Backend:
        def as_uri(self, *, include_password: bool) -> str:
            return f"db://{include_password}"

    with (
        pytest.raises(UnreachableError, match=r"^The result backend at db://False ") as raised,
        answering(Backend()),
    ):
        raise RuntimeError("of a driver")

    assert raised.value.server == "result backend"


def test_an_error_of_nobody_in_particular_names_no_server() -> None:
    assert UnreachableError("Nothing answers.").server is None


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (redis.exceptions.ResponseError("DB index is out of range"), "DB index is out of range"),
        (
            redis.exceptions.ReadOnlyError("You can't write against a replica."),
            "You can't write against a replica",
        ),
        (
            redis.exceptions.ResponseError(
                "unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `bob`, `s3cret`"
            ),
            "unknown command `HELLO`",
        ),
        (redis.exceptions.ResponseError("a\nb"), r"a\nb"),
    ],
)
def test_what_a_redis_answered_is_told_without_the_arguments_of_its_command(
    problem: Exception, told: str
) -> None:
    with pytest.raises(UnreachableError) as raised, reading("broker", "redis://db/99"):
        raise problem

    assert str(raised.value) == (
        f'The broker at redis://db/99 answers "{told}"; check its URL and how that server is configured.'
    )
    assert raised.value.server == "broker"
