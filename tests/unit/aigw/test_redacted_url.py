"""URLs as reports show them: places stay, credentials go, however the URL is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigw.redacted_url import HIDDEN, redacted

SECRET = "c4n4ry"
POSTGRES = "postgresql+psycopg://"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1",
        "/var/lib/aigw",
        "memory://",
        "sqlite:////var/lib/aigw/control-plane.db",
        "http://127.0.0.1:9902",
        "http://[::1]:9902/path",
        "redis://aigw-control-plane@redis.example:6379/0",
        "redis+sentinel://a.example:26379,b.example/service/0",
        "vault://vault.example:8200/aigw?auth=approle&role=1234&ca_file=/etc/ca.pem",
        f"{POSTGRES}aigw@a.example:5432,b.example:5432/aigw?target_session_attrs=read-write&sslmode=verify-full",
    ],
)
def test_a_url_without_a_credential_is_shown_as_it_is(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{POSTGRES}u:{SECRET}@h:5432/d", f"{POSTGRES}u:{HIDDEN}@h:5432/d"),
        (f"{POSTGRES}u:x@{SECRET}@h/d", f"{POSTGRES}u:{HIDDEN}@h/d"),
        (f"{POSTGRES}u:x/{SECRET}@h/d", f"{POSTGRES}u:{HIDDEN}@h/d"),
        (f"{POSTGRES}h/d?user=u&password={SECRET}", f"{POSTGRES}h/d?user=u&password={HIDDEN}"),
        (f"{POSTGRES}h/d?passwd={SECRET}", f"{POSTGRES}h/d?passwd={HIDDEN}"),
        (f"{POSTGRES}h/d?sslpassword={SECRET}", f"{POSTGRES}h/d?sslpassword={HIDDEN}"),
        (f"{POSTGRES}h/d?passfile=/{SECRET}", f"{POSTGRES}h/d?passfile={HIDDEN}"),
        (f"{POSTGRES}h/d?PassWord={SECRET}", f"{POSTGRES}h/d?PassWord={HIDDEN}"),
        (f"{POSTGRES}h/d?p%61ssword={SECRET}", f"{POSTGRES}h/d?p%61ssword={HIDDEN}"),
        (
            f"{POSTGRES}h/d?sslmode=require;password={SECRET}",
            f"{POSTGRES}h/d?sslmode=require;password={HIDDEN}",
        ),
        (f"{POSTGRES}h/d?{SECRET}", f"{POSTGRES}h/d?{HIDDEN}"),
        (f"https://{SECRET}@h/x", f"https://{HIDDEN}@h/x"),
        (f"redis://:{SECRET}@h:6379/0", f"redis://:{HIDDEN}@h:6379/0"),
    ],
)
def test_a_credential_is_hidden_and_the_place_is_not(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "rest",
    [
        f"u:x?{SECRET}@h/d",
        f"u:x#{SECRET}@h/d",
        f"u:{SECRET}",
        f"h/d?password=x@{SECRET}",
        f"h/d?sslmode=x@{SECRET}",
        f"h/d#{SECRET}",
        f"h/d;password={SECRET}",
        f"h/d&password={SECRET}",
        f"h/password={SECRET}",
        f"u:x:{SECRET}/h",
        f"u {SECRET}@h",
        f"u:x@h:{SECRET}/d",
        f"h/d?application_name=a?password={SECRET}",
    ],
)
def test_a_malformed_url_shows_its_scheme_alone(rest: str) -> None:
    assert redacted(f"{POSTGRES}{rest}") == f"{POSTGRES}{HIDDEN}"


@given(noise=st.text("ab:/@?#&=;%,[] ", max_size=6), after=st.text("ab:/@?#&=;%,[] ", max_size=6))
def test_a_password_never_comes_through_whatever_stands_around_it(noise: str, after: str) -> None:
    assert SECRET not in redacted(f"{POSTGRES}user:{noise}{SECRET}{after}@host:5432/name")
    assert SECRET not in redacted(f"{POSTGRES}host/name?password={SECRET}{after}")
