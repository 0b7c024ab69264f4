"""How both planes reach Redis: the URL's form, a client with a time-out on everything, named failures.

    redis://[user@]host[:6379][/db]
    rediss://[user@]host[:6379][/db][?ca_file=/path/ca.pem]            TLS
    redis+sentinel://[user@]host[:26379],host…/service[/db]            Sentinel; rediss+sentinel:// for TLS

Passwords never stand in a URL: passwords are settings of their own. Commands, keys and wire formats do not
belong here.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterCrossSlotError,
    ClusterDownError,
    NoPermissionError,
    RedisError,
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from shared.secret import Secret

CONNECT_SECONDS: Final = 3.0
COMMAND_SECONDS: Final = 5.0
HEALTH_CHECK_SECONDS: Final = 30
MAX_CONNECTIONS: Final = 8
DEFAULT_PORT: Final = 6379
DEFAULT_SENTINEL_PORT: Final = 26_379
MAX_PORT: Final = 65_535

FAILURES: Final = (RedisError, OSError, TimeoutError, RuntimeError)
"""Every error of a call on a client caused by Redis or the way to Redis.

RuntimeError is uvloop's word for a write to a connection ended a moment ago; redis-py passes the error on.
"""

NO_SERVICE: Final = "no sentinel answers that knows the service"
NO_SENTINEL: Final = "a server answers in place of a sentinel"
NO_DATABASE: Final = "Redis has no database of this number"

_SCHEMES: Final = ("redis", "rediss", "redis+sentinel", "rediss+sentinel")
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_ERROR_CODE: Final = re.compile(r"[A-Z]{2,24}")


class UnusableRedis(Exception):  # noqa: N818  # a finding about the server, with its remedy
    """A Redis answers but the gateway cannot work with this server; the message gives the remedy."""


class RedisUrlError(ValueError):
    """The URL names no Redis; the message gives the reason and quotes nothing of the URL."""


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """Where Redis is.

    Attributes:
        hosts: (host, port) of the server, or of every sentinel.
        service: the sentinels' name for the server; empty without Sentinel.
        database: the number of the logical database.
        username: the ACL user, or empty for the default user.
        tls: whether connections, those to sentinels too, are TLS.
        ca_file: the authorities for verifying certificates, in place of the system's.
    """

    hosts: tuple[tuple[str, int], ...]
    service: str
    database: int
    username: str
    tls: bool
    ca_file: Path | None


def is_redis_url(text: str) -> bool:
    """Whether this is meant as the URL of a Redis; `parse_redis_url` judges the URL."""
    return text.partition("://")[0] in _SCHEMES


def parse_redis_url(text: str) -> RedisTarget:
    """Read a URL of the forms above; raises `RedisUrlError`."""
    if not is_redis_url(text):
        raise RedisUrlError(f"the scheme of a Redis URL is one of {', '.join(_SCHEMES)}")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise RedisUrlError("the Redis URL is malformed") from None
    user, _, hosts = parts.netloc.rpartition("@")
    if ":" in user:
        raise RedisUrlError("a Redis URL holds no password; set AIGW_REDIS_PASSWORD or its _FILE variant")
    by_sentinel = parts.scheme.endswith("+sentinel")
    tls = parts.scheme.startswith("rediss")
    segments = [unquote(segment) for segment in parts.path.split("/") if segment]
    service = segments.pop(0) if by_sentinel and segments else ""
    if by_sentinel and not service:
        raise RedisUrlError("the path of a Sentinel URL begins with the service's name")
    return RedisTarget(
        hosts=_hosts(hosts, DEFAULT_SENTINEL_PORT if by_sentinel else DEFAULT_PORT, several=by_sentinel),
        service=service,
        database=_database(segments),
        username=unquote(user),
        tls=tls,
        ca_file=_ca_file(parts.query, tls=tls),
    )


def _hosts(text: str, default_port: int, *, several: bool) -> tuple[tuple[str, int], ...]:
    found = []
    for part in text.split(","):
        match = _HOST.fullmatch(part)
        port = int(match[2] or default_port) if match else 0
        if match is None or not 0 < port <= MAX_PORT:
            raise RedisUrlError("the Redis URL names a host that is malformed, or none")
        found.append((match[1].strip("[]"), port))
    if len(found) > 1 and not several:
        raise RedisUrlError("only a Sentinel URL names several hosts")
    return tuple(found)


def _database(segments: list[str]) -> int:
    match segments:
        case []:
            return 0
        case [number] if number.isascii() and number.isdigit():
            return int(number)
        case _:
            raise RedisUrlError("the path of a Redis URL ends with the number of a database")


def _ca_file(query: str, *, tls: bool) -> Path | None:
    options = parse_qs(query, keep_blank_values=True)
    names = options.pop("ca_file", [])
    if options or len(names) > 1:
        raise RedisUrlError("the only parameter of a Redis URL is ca_file")
    if not names:
        return None
    if not tls:
        raise RedisUrlError("ca_file needs TLS: rediss:// or rediss+sentinel://")
    return Path(names[0])


def connect(
    target: RedisTarget,
    *,
    password: Secret | None = None,
    sentinel_password: Secret | None = None,
    command_seconds: float = COMMAND_SECONDS,
) -> Redis:
    """Make a client; the client connects at its first command, and again at the next command after a failure.

    A command without an answer for `command_seconds` fails. Nothing is retried here: the caller knows whether
    a retry is safe, and backs off.
    """
    ways = _timeouts(command_seconds) | _tls(target)
    options: dict[str, Any] = ways | {
        "db": target.database,
        "username": target.username or None,
        "password": password.reveal() if password else None,
        "max_connections": MAX_CONNECTIONS,
        "health_check_interval": HEALTH_CHECK_SECONDS,
    }
    if not target.service:
        host, port = target.hosts[0]
        return Redis(host=host, port=port, **options)
    sentinel_options = ways | {"password": sentinel_password.reveal() if sentinel_password else None}
    sentinels = Sentinel(  # type: ignore[no-untyped-call]  # redis-py left this one out
        list(target.hosts), sentinel_kwargs=sentinel_options, **options
    )
    client: Redis = sentinels.master_for(target.service, redis_class=Redis)
    return client


async def require_single(client: Redis, *questions: str | int) -> None:
    """Ask something of two keys, which a server in Cluster mode refuses; an unreachable server is not judged.

    Raises:
        UnusableRedis: the server is in Cluster mode.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await client.execute_command(*questions)  # type: ignore[no-untyped-call]  # redis-py left it out
    except FAILURES as error:
        if _is_cluster(error):
            raise UnusableRedis(
                "AIGW_EVENT_BUS_URL: this Redis is in Cluster mode, which the gateway does not use. Give it "
                "one server, a primary with replicas behind one name, or Sentinel (redis+sentinel://…)."
            ) from None


def _is_cluster(error: BaseException) -> bool:
    return isinstance(error, (AskError, ClusterDownError, ClusterCrossSlotError))


async def leave(client: Redis) -> None:
    """Close every connection, so the next command looks up the present primary anew."""
    with contextlib.suppress(*FAILURES):
        await client.connection_pool.disconnect()


async def close(client: Redis) -> None:
    """Close every connection of a client of `connect`, those to its sentinels too."""
    await client.aclose()
    pool = client.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        for sentinel in pool.sentinel_manager.sentinels:
            await sentinel.aclose()


def _timeouts(command_seconds: float) -> dict[str, Any]:
    return {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": command_seconds,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
        # RESP2, and no CLIENT SETINFO: the ACL of a plane then lists nothing but what the plane does.
        "protocol": 2,
        "driver_info": None,
    }


def _tls(target: RedisTarget) -> dict[str, Any]:
    if not target.tls:
        return {}
    ca_file = None if target.ca_file is None else str(target.ca_file)
    return {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True, "ssl_ca_certs": ca_file}


def why(error: BaseException) -> str:
    """Describe the failure without data or credentials."""
    match error:
        case AuthenticationError():
            return "Redis refused the user name or password"
        case NoPermissionError():
            return "Redis does not allow its user this command"
        case RedisTimeoutError() | TimeoutError():
            return "Redis did not answer in time"
        case ResponseError():
            return _refusal(error)
        case RedisConnectionError() | OSError() | RuntimeError():
            is_unknown = isinstance(error, MasterNotFoundError)
            return NO_SERVICE if is_unknown else f"Redis cannot be reached ({type(error).__name__})"
        case _:
            return f"Redis failed ({type(error).__name__})"


def _refusal(error: ResponseError) -> str:
    if _is_cluster(error):
        return "Redis is in Cluster mode, which the gateway does not use"
    words = str(error).lower()
    if "unknown command" in words and "sentinel" in words:
        return NO_SENTINEL
    if words.startswith("db index"):
        return NO_DATABASE
    # The first word of an error reply is its code (OOM, READONLY, LOADING …); the rest may quote.
    code = _ERROR_CODE.match(str(error))
    return f"Redis refused the command ({code[0] if code else type(error).__name__})"
