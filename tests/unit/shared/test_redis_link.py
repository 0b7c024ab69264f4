"""The forms of a Redis URL, and the messages about failures."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.redis_link import RedisTarget, RedisUrlError, close, connect, is_redis_url, parse_redis_url, why
from shared.secret import Secret


def target(*hosts: tuple[str, int], **values: object) -> RedisTarget:
    known = {"service": "", "database": 0, "username": "", "tls": False, "ca_file": None}
    return RedisTarget(hosts, **(known | values))  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://r", target(("r", 6379))),
        ("redis://aigw@r:7000/3", target(("r", 7000), username="aigw", database=3)),
        ("redis://[::1]:7000/", target(("::1", 7000))),
        ("rediss://r/0?ca_file=/etc/ca.pem", target(("r", 6379), tls=True, ca_file=Path("/etc/ca.pem"))),
        (
            "redis+sentinel://u@s1,s2:7/mymaster/2",
            target(("s1", 26_379), ("s2", 7), service="mymaster", username="u", database=2),
        ),
        ("rediss+sentinel://s1/main", target(("s1", 26_379), service="main", tls=True)),
    ],
)
def test_every_form_is_read(url: str, expected: RedisTarget) -> None:
    assert is_redis_url(url)
    assert parse_redis_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://r",
        "redis://",
        "redis://r:0",
        "redis://r:70000",
        "redis://r1,r2",
        "redis://r/zero",
        "redis://r/0/1",
        "redis://r?ca_file=/x",
        "rediss://r?verify=no",
        "rediss://r?ca_file=/x&ca_file=/y",
        "redis+sentinel://s1",
        "redis+sentinel://s1,/main",
    ],
)
def test_what_names_no_redis_is_refused(url: str) -> None:
    with pytest.raises(RedisUrlError):
        parse_redis_url(url)


def test_a_password_in_the_url_is_refused_and_not_shown() -> None:
    with pytest.raises(RedisUrlError, match="AIGW_REDIS_PASSWORD") as caught:
        parse_redis_url("redis://user:canary-password@r")
    assert "canary" not in str(caught.value)


async def test_a_client_has_a_time_out_on_everything_and_shows_no_password() -> None:
    for url in ("redis://r", "redis+sentinel://s1/main"):
        client = connect(parse_redis_url(url), password=Secret("canary-password"), command_seconds=4)
        options = client.connection_pool.connection_kwargs
        assert options["socket_timeout"] == 4
        assert options["socket_connect_timeout"] > 0
        assert "canary" not in repr(client)
        await close(client)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (AuthenticationError("canary"), "user name or password"),
        (NoPermissionError("canary"), "does not allow"),
        (ResponseError("OOM canary"), "OOM"),
        (ResponseError("canary"), "ResponseError"),
        (RedisTimeoutError("canary"), "in time"),
        (TimeoutError("canary"), "in time"),
        (RedisConnectionError("canary"), "reached"),
        (OSError("canary"), "reached"),
    ],
)
def test_a_failure_is_told_without_its_details(error: Exception, words: str) -> None:
    assert words in why(error)
    assert "canary" not in why(error)
