"""How a listener for boxes is written down, and the error for a text that is no listener."""

from __future__ import annotations

import pytest

from services.data_plane.identity.box_listener import BoxListener, parse_box_listener


@pytest.mark.parametrize(
    ("text", "listener"),
    [
        ("header+tcp://127.0.0.1:1000", BoxListener("header", "tcp", "127.0.0.1", 1000)),
        ("proxy-tlv+tls://0.0.0.0:0", BoxListener("proxy-tlv", "tls", "0.0.0.0", 0)),  # as written
        ("static+tcp://[::1]:7", BoxListener("static", "tcp", "::1", 7)),
        ("proxy-tlv+unix:///run/a.sock", BoxListener("proxy-tlv", "unix", path="/run/a.sock")),
        (
            "header+unix:///run/a.sock?mode=0600",
            BoxListener("header", "unix", path="/run/a.sock", permissions=0o600),
        ),
    ],
)
def test_a_listener_reads_as_it_was_written(text: str, listener: BoxListener) -> None:
    assert parse_box_listener(text) == listener
    assert text.startswith(str(listener))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "MODE"),
        ("127.0.0.1:1000", "MODE"),
        ("tcp://127.0.0.1:1000", "MODE"),
        ("auto+tcp://127.0.0.1:1000", "MODE"),
        ("header+udp://127.0.0.1:1000", "MODE"),
        ("header+tcp://127.0.0.1", "host and a port"),
        ("header+tcp://:1000", "host and a port"),
        ("header+tcp://127.0.0.1:70000", "host and a port"),
        ("header+tcp://127.0.0.1:1000/path", "no path"),
        ("header+tcp://127.0.0.1:1000?mode=0600", "no parameters"),
        ("header+tcp://user@127.0.0.1:1000", "no user"),
        ("header+unix://run/a.sock", "absolute path"),
        ("header+unix:///", "absolute path"),
        ("header+unix:///" + "a" * 107, "at most 107 bytes"),
        ("header+unix:///run/a.sock?mode=rw", "octal"),
        ("header+unix:///run/a.sock?mode=0600&x=1", "octal"),
    ],
)
def test_a_listener_that_cannot_be_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_box_listener(text)
