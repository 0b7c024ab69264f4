"""Checks an event bus in Redis: reachable, in a state to serve, and with the rights of the plane and no more.

Once its rights are checked, every command is sent in a form refused by Redis for a known reason, or with an
empty result: the entries for readers stay unchanged. Any other refusal is a finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import BusyLoadingError, ExecAbortError, NoPermissionError, ResponseError

from aigw.doctor.certificates import unreadable
from aigw.doctor.clocks import ClockReading, examine_clock
from aigw.doctor.finding import Finding, with_faults
from aigw.doctor.redis_state import CLUSTER, REPLICA, SENTINEL, WrongStateError, wrong_state
from shared.clock import unix_now
from shared.config_feed import HEARTBEAT_KEY, SNAPSHOT_KEY, STREAM_KEY
from shared.redis_link import (
    FAILURES,
    NO_DATABASE,
    NO_SENTINEL,
    NO_SERVICE,
    close,
    connect,
    parse_redis_url,
    why,
)

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from shared.backend_settings import BackendSettings
    from shared.clock import Clock
    from shared.redis_link import RedisTarget

PROBE_KEY: Final = "aigw:doctor"
"""Beside the gateway's keys, so that the same rights hold; left behind only where `del` is missing."""
_URL: Final = "AIGW_EVENT_BUS_URL"
_RIGHTS_REMEDY: Final = "compare the ACL of its user with deploy/redis/users.acl"


@dataclass(frozen=True, slots=True)
class Probe:
    """A command. `refusal` is part of Redis's answer to the permitted command; empty: the command works."""

    right: str
    words: tuple[Any, ...]
    refusal: str = ""


WRITE: Final = Probe("set", ("SET", PROBE_KEY, "x", "XX", "PX", 1))
WRITER: Final = (
    # An id that no stream takes.
    Probe("xadd", ("XADD", STREAM_KEY, "0-0", "event", ""), "must be greater"),
    Probe("xrange", ("XRANGE", STREAM_KEY, "-", "-", "COUNT", 1)),
    Probe("xrevrange", ("XREVRANGE", STREAM_KEY, "-", "-", "COUNT", 1)),
    WRITE,
    Probe("get", ("GET", PROBE_KEY)),
    # A field that nobody reads; deleted next.
    Probe("hset", ("HSET", PROBE_KEY, "field", "x")),
    Probe("del", ("DEL", PROBE_KEY)),
    Probe("exec", ("EXEC",), "without MULTI"),
    # The last one: the connection is closed after it, and the transaction with it.
    Probe("multi", ("MULTI",)),
)
READER: Final = (
    Probe("xread", ("XREAD", "COUNT", 1, "STREAMS", STREAM_KEY, "$")),
    Probe("hget", ("HGET", SNAPSHOT_KEY, "etag")),
    Probe("hstrlen", ("HSTRLEN", SNAPSHOT_KEY, "body")),
)
_FORBIDDEN_ID: Final = ("0-0", "event", "")
"""Redis refuses this id before any look at the key, and checks the user's rights on the key before the id."""
WRITER_KEYS: Final = tuple(
    Probe(f"write {key}", ("XADD", key, *_FORBIDDEN_ID), "must be greater")
    for key in (STREAM_KEY, HEARTBEAT_KEY, SNAPSHOT_KEY)
)
READER_KEYS: Final = (
    *(
        Probe(f"read {key}", ("XREAD", "COUNT", 1, "STREAMS", key, "$"))
        for key in (STREAM_KEY, HEARTBEAT_KEY)
    ),
    Probe(f"read {SNAPSHOT_KEY}", ("HGET", SNAPSHOT_KEY, "etag")),
)
"""The rights on each key: told only where no command is refused, since a refusal names no key."""


async def examine_writer(
    name: str, settings: BackendSettings, url: str, *, clock: Clock = unix_now
) -> list[Finding]:
    """Check the bus in the way of the control plane."""
    return await _examine(name, settings, url, WRITER, clock, is_reader=False)


async def examine_reader(
    name: str, settings: BackendSettings, url: str, *, clock: Clock = unix_now
) -> list[Finding]:
    """Check the bus in the way of a data plane: writing must be forbidden."""
    return await _examine(name, settings, url, READER, clock, is_reader=True)


async def _examine(
    name: str,
    settings: BackendSettings,
    url: str,
    probes: tuple[Probe, ...],
    clock: Clock,
    *,
    is_reader: bool,
) -> list[Finding]:
    target = parse_redis_url(url)
    if reason := unreadable(target.ca_file):
        return [Finding("FAIL", name, f"its ca_file {reason}", f"check ca_file in {_URL}, and its mount")]
    pool = connect(
        target, password=settings.redis_password, sentinel_password=settings.redis_sentinel_password
    )
    # One connection for every command: a transaction that a probe opens is that connection's alone.
    client = pool.client()
    try:
        await client.ping()
        role = await _role(client, is_reader=is_reader)
        late = examine_clock(name, f"Redis ({_URL})", await _clock(client, clock))
        lacking = await _lacking(client, READER_KEYS if is_reader else WRITER_KEYS)
        # The commands go last: one of them opens a transaction.
        findings = with_faults([_judged(name, await _lacking(client, probes) or lacking)], late)
        if is_reader and role != "replica" and not await _lacking(client, (WRITE,)):
            text = "its user may write events; a data plane only reads"
            findings.append(Finding("warn", name, text, _RIGHTS_REMEDY))
        if role == "replica":
            text = "it is a replica: changes come late when it lags, and none when it is cut off"
            findings.append(Finding("warn", name, text, REPLICA.remedy))
    except WrongStateError as error:
        return [Finding("FAIL", name, str(error), error.state.remedy)]
    except FAILURES as error:
        return [_unreachable(name, error, target)]
    finally:
        await client.aclose()
        await close(pool)
    return findings


async def _clock(client: Redis, clock: Clock) -> ClockReading | None:
    """Read the server's clock; None for a user without the right, which no plane needs."""
    asked = clock()
    try:
        seconds, microseconds = await client.time()
    except ResponseError:
        return None
    return ClockReading(seconds + microseconds / 1e6, asked, clock())


async def _role(client: Redis, *, is_reader: bool) -> str:
    """Ask for the server's role; raises `WrongStateError` for an unusable mode or role.

    HELLO without a version changes nothing and needs no right of its own (the command is open before
    sign-in). An older server, or a proxy without the command, tells nothing.
    """
    try:
        answer = await client.execute_command("HELLO")  # type: ignore[no-untyped-call]  # redis-py left it out
    except ResponseError:
        return ""
    told = {_text(name): _text(value) for name, value in _pairs(answer)}
    match told.get("mode"):
        case "cluster":
            raise WrongStateError(CLUSTER)
        case "sentinel":
            raise WrongStateError(SENTINEL)
        case _:
            pass
    role = told.get("role", "")
    if role == "replica" and not is_reader:
        raise WrongStateError(REPLICA)
    return role


def _pairs(answer: Any) -> list[tuple[Any, Any]]:
    if isinstance(answer, dict):
        return list(answer.items())
    return list(zip(answer[::2], answer[1::2], strict=True)) if isinstance(answer, list) else []


def _text(part: Any) -> str:
    return part.decode() if isinstance(part, bytes) else str(part)


async def _lacking(client: Redis, probes: tuple[Probe, ...]) -> list[str]:
    """Name the rights missing for the user; raises `WrongStateError`, or as a client without Redis."""
    lacking = []
    for probe in probes:
        try:
            await client.execute_command(*probe.words)  # type: ignore[no-untyped-call]  # redis-py left it out
        except (NoPermissionError, ExecAbortError):  # the latter is how a refused EXEC reads
            lacking.append(probe.right)
        except ResponseError as error:
            if not probe.refusal or probe.refusal not in str(error):
                raise WrongStateError(wrong_state(probe.right, error)) from None
    return lacking


def _judged(name: str, lacking: list[str]) -> Finding:
    if lacking:
        return Finding("FAIL", name, f"its user may not {', '.join(lacking)}", _RIGHTS_REMEDY)
    return Finding("ok", name, "reachable, and its user may do what it must")


_REMEDIES: Final = {
    NO_SERVICE: f"check the service's name and the sentinels in {_URL} (redis+sentinel://HOST/SERVICE)",
    NO_SENTINEL: f"name the sentinels in {_URL}, or the server by redis://HOST",
    NO_DATABASE: f"check the database's number at the end of {_URL}",
}


def _unreachable(name: str, error: BaseException, target: RedisTarget) -> Finding:
    text = why(error)
    if isinstance(error, BusyLoadingError):  # which redis-py counts as a lost connection
        state = wrong_state("ping", error)
        return Finding("FAIL", name, state.sentence, state.remedy)
    if text in _REMEDIES:
        remedy = _REMEDIES[text]
    elif "certificate has expired" in str(error):
        remedy, text = f"renew the certificate of the server in {_URL}", "Redis's certificate has expired"
    elif "certificate verify failed" in str(error).lower().replace("_", " "):
        remedy, text = f"check ca_file in {_URL}", "Redis's certificate is not trusted"
    elif "user name or password" in text:
        remedy = f"check the user in {_URL}, and AIGW_REDIS_PASSWORD"
    elif isinstance(error, NoPermissionError):  # of the first command, PING, or of SELECT
        remedy = _RIGHTS_REMEDY
    else:
        scheme = "rediss:// is for a server with TLS" if target.tls else "a server with TLS needs rediss://"
        remedy = f"check {_URL} ({scheme}) and AIGW_REDIS_PASSWORD"
    return Finding("FAIL", name, text, remedy)
