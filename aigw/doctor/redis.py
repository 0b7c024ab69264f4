"""Checks an event bus in Redis: can it be reached, and may its user do what the plane does, and no more.

Every command is sent in a form that Redis refuses for another reason, or that finds nothing, once its rights
are checked: nothing is written to what readers read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import NoPermissionError, ResponseError

from aigw.doctor.finding import Finding
from shared.config_feed import SNAPSHOT_KEY, STREAM_KEY
from shared.redis_link import FAILURES, close, connect, parse_redis_url, why

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from shared.backend_settings import BackendSettings

PROBE_KEY: Final = "aigw:doctor"
"""Beside the gateway's keys, so that the same rights hold; left behind only where `del` is missing."""
_REMEDY: Final = "compare the user's line with deploy/redis/users.acl"


@dataclass(frozen=True, slots=True)
class Probe:
    """One command; what Redis says of it beyond rights does not matter."""

    right: str
    words: tuple[Any, ...]


WRITE: Final = Probe("set", ("SET", PROBE_KEY, "x", "XX", "PX", 1))
WRITER: Final = (
    # An id that no stream takes.
    Probe("xadd", ("XADD", STREAM_KEY, "NOMKSTREAM", "0-0", "event", "")),
    Probe("xrange", ("XRANGE", STREAM_KEY, "-", "-", "COUNT", 1)),
    Probe("xrevrange", ("XREVRANGE", STREAM_KEY, "-", "-", "COUNT", 1)),
    WRITE,
    Probe("get", ("GET", PROBE_KEY)),
    # A key that holds something else: it is made by `SET`, read by nobody, and deleted last.
    Probe("hset", ("HSET", PROBE_KEY, "field", "x")),
    Probe("del", ("DEL", PROBE_KEY)),
)
READER: Final = (
    Probe("xread", ("XREAD", "COUNT", 1, "STREAMS", STREAM_KEY, "$")),
    Probe("hget", ("HGET", SNAPSHOT_KEY, "etag")),
    Probe("hstrlen", ("HSTRLEN", SNAPSHOT_KEY, "body")),
)


async def examine_writer(name: str, settings: BackendSettings, url: str) -> list[Finding]:
    """Check the bus as the control plane uses it."""
    client = _client(settings, url)
    try:
        await client.ping()
        lacking = await _lacking(client, WRITER)
        if not await _may_transact(client):
            lacking += ["multi", "exec"]
    except FAILURES as error:
        return [_unreachable(name, error)]
    finally:
        await close(client)
    return [_judged(name, lacking)]


async def examine_reader(name: str, settings: BackendSettings, url: str) -> list[Finding]:
    """Check the bus as a data plane uses it: it must not be able to write."""
    client = _client(settings, url)
    try:
        await client.ping()
        lacking = await _lacking(client, READER)
        may_write = not await _lacking(client, (WRITE,))
    except FAILURES as error:
        return [_unreachable(name, error)]
    finally:
        await close(client)
    findings = [_judged(name, lacking)]
    if may_write:
        text = "its user may write events; a data plane only reads"
        findings.append(Finding("warn", name, text, _REMEDY))
    return findings


def _client(settings: BackendSettings, url: str) -> Redis:
    return connect(
        parse_redis_url(url),
        password=settings.redis_password,
        sentinel_password=settings.redis_sentinel_password,
    )


async def _lacking(client: Redis, probes: tuple[Probe, ...]) -> list[str]:
    """Name the rights that the user lacks; raises what a client raises when Redis is gone."""
    lacking = []
    for probe in probes:
        try:
            await client.execute_command(*probe.words)  # type: ignore[no-untyped-call]  # redis-py left it out
        except NoPermissionError:
            lacking.append(probe.right)
        except ResponseError:
            continue
    return lacking


async def _may_transact(client: Redis) -> bool:
    try:
        async with client.pipeline(transaction=True) as both:
            both.get(PROBE_KEY)
            await both.execute()
    except NoPermissionError:
        return False
    except ResponseError:
        return True
    return True


def _judged(name: str, lacking: list[str]) -> Finding:
    if lacking:
        return Finding("FAIL", name, f"its user may not {', '.join(lacking)}", _REMEDY)
    return Finding("ok", name, "reachable, and its user may do what it must")


def _unreachable(name: str, error: BaseException) -> Finding:
    return Finding("FAIL", name, f"{why(error)}", "check AIGW_EVENT_BUS_URL and AIGW_REDIS_PASSWORD")
