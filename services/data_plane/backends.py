"""Builds the backends of a data plane by their URLs: secret store, source of snapshots, event bus."""

from __future__ import annotations

import time
from random import SystemRandom
from typing import TYPE_CHECKING

from services.data_plane.table.feed import HttpSnapshotSource, MemoryBusReader, NoBusReader
from services.data_plane.table.redis_feed import (
    COMMAND_SECONDS_OF_A_READER,
    RedisBusReader,
    RedisSnapshotCopy,
    SnapshotOrCopy,
)
from services.data_plane.table.secrets import LocalSecretReader
from services.data_plane.table.vault_reader import VaultSecretReader
from shared.clock import unix_now
from shared.redis_link import COMMAND_SECONDS, connect, is_redis_url, parse_redis_url
from shared.vault_session import VaultSession
from shared.vault_target import is_vault_url, parse_vault_url

if TYPE_CHECKING:
    from services.data_plane.settings import DataPlaneSettings
    from services.data_plane.table.feed import BusReader, SnapshotSource
    from services.data_plane.table.forgeries import Forgeries
    from services.data_plane.table.secrets import SecretReader
    from shared.memory_stream import MemoryStream


def secret_reader(settings: DataPlaneSettings) -> SecretReader:
    """Give the reader of the secret store."""
    if not is_vault_url(settings.secret_store_url):
        return LocalSecretReader(settings.secret_folder)
    return VaultSecretReader(
        VaultSession(
            parse_vault_url(settings.secret_store_url),
            settings.vault_credential,
            monotonic=time.monotonic,
            random=SystemRandom().random,
        )
    )


def feed(
    settings: DataPlaneSettings, stream: MemoryStream | None, forgeries: Forgeries
) -> tuple[SnapshotSource, BusReader]:
    """Give the source of snapshots and the reader of events; `stream` is a bus of the same process."""
    control_plane = HttpSnapshotSource(settings.control_plane_internal_url, settings.internal_token)
    if not is_redis_url(settings.event_bus_url):
        return control_plane, NoBusReader() if stream is None else MemoryBusReader(stream)
    target = parse_redis_url(settings.event_bus_url)
    # Two clients: one command of the reader waits for events, one of the copy must not.
    reading, copying = (
        connect(
            target,
            password=settings.redis_password,
            sentinel_password=settings.redis_sentinel_password,
            command_seconds=seconds,
        )
        for seconds in (COMMAND_SECONDS_OF_A_READER, COMMAND_SECONDS)
    )
    keys = settings.feed_keys()
    copy = RedisSnapshotCopy(
        copying, keys, forgeries, clock=unix_now, max_age_seconds=settings.max_config_age_seconds
    )
    bus = RedisBusReader(reading, keys, forgeries, monotonic=time.monotonic, clock=unix_now)
    return SnapshotOrCopy(control_plane, copy), bus
