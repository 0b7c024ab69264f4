"""Which texts are attachments and which are none; a written attachment reads back unchanged."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.node_agent.rules.attachment import (
    Address,
    AddressListen,
    Attachment,
    AttachmentError,
    NamespaceListen,
    UnixListen,
    read_attachment,
    write_attachment,
)

GOOD: dict[str, Any] = {
    "org": "acme",
    "lifecycle_id": "life-1",
    "listen": {"netns": "box-7", "address": "127.0.0.1:1000"},
}
IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,20}", fullmatch=True)
ADDRESSES = st.builds(
    Address,
    st.sampled_from(["127.0.0.1", "10.1.2.3", "::1", "fd00::7"]),
    st.integers(min_value=1, max_value=65_535),
)
LISTENS = st.one_of(
    st.builds(NamespaceListen, st.sampled_from(["box-7", "/proc/7/ns/net"]), ADDRESSES),
    st.builds(AddressListen, ADDRESSES),
    st.builds(UnixListen, st.just("/run/box/7.sock"), st.integers(min_value=0, max_value=0o777)),
)


@given(st.builds(Attachment, IDS, IDS, IDS, LISTENS))
def test_what_was_written_is_read_back(attachment: Attachment) -> None:
    assert read_attachment(attachment.box, write_attachment(attachment)) == attachment


def test_the_three_kinds_of_listeners_are_read() -> None:
    assert read_attachment("b", GOOD).listen == NamespaceListen("box-7", Address("127.0.0.1", 1000))
    plain = GOOD | {"listen": {"address": "[::1]:80"}}
    assert read_attachment("b", plain).listen == AddressListen(Address("::1", 80))
    unix = GOOD | {"listen": {"unix": "/run/b.sock"}}
    assert read_attachment("b", unix).listen == UnixListen("/run/b.sock", 0o660)


@pytest.mark.parametrize(
    ("pointer", "change"),
    [
        ("/org", {"org": ""}),
        ("/org", {"org": 7}),
        ("/org", {"org": "a/b"}),
        ("/lifecycle_id", {"lifecycle_id": "x" * 129}),
        ("/lifecycle_id", {"lifecycle_id": None}),
        ("/token", {"token": "x"}),
        ("/listen", {"listen": []}),
        ("/listen/address", {"listen": {}}),
        ("/listen/address", {"listen": {"netns": "n"}}),
        ("/listen/address", {"listen": {"address": "localhost:1000"}}),
        ("/listen/address", {"listen": {"address": "127.0.0.1:0"}}),
        ("/listen/address", {"listen": {"address": "127.0.0.1:65536"}}),
        ("/listen/address", {"listen": {"address": "127.0.0.1"}}),
        ("/listen/address", {"listen": {"address": "::1:80"}}),
        ("/listen/address", {"listen": {"address": "[127.0.0.1]:80"}}),
        ("/listen/address", {"listen": {"address": "[fe80::1%eth0]:80"}}),
        ("/listen/address", {"listen": {"address": "0.0.0.0:1000"}}),
        ("/listen/address", {"listen": {"address": "[::]:1000"}}),
        ("/listen/address", {"listen": {"address": 1000}}),
        ("/listen/netns", {"listen": {"netns": "../x", "address": "127.0.0.1:1"}}),
        ("/listen/netns", {"listen": {"netns": "..", "address": "127.0.0.1:1"}}),
        ("/listen/netns", {"listen": {"netns": "/run/../x", "address": "127.0.0.1:1"}}),
        ("/listen/netns", {"listen": {"netns": "a\nb", "address": "127.0.0.1:1"}}),
        ("/listen/unix", {"listen": {"unix": "relative"}}),
        ("/listen/unix", {"listen": {"unix": "/a/../b"}}),
        ("/listen/unix", {"listen": {"unix": "/a//b"}}),
        ("/listen/unix", {"listen": {"unix": "/a/"}}),
        ("/listen/unix", {"listen": {"unix": "/" + "x" * 107}}),
        ("/listen/unix", {"listen": {"unix": "/a\x00b"}}),
        ("/listen/mode", {"listen": {"unix": "/a", "mode": "rw"}}),
        ("/listen/mode", {"listen": {"unix": "/a", "mode": 432}}),
        ("/listen/mode", {"listen": {"unix": "/a", "mode": "4755"}}),
        ("/listen/address", {"listen": {"unix": "/a", "netns": "n"}}),
        ("/listen/address", {"listen": {"unix": "/a", "address": "127.0.0.1:1"}}),
    ],
)
def test_a_fault_is_told_with_its_place(pointer: str, change: dict[str, Any]) -> None:
    with pytest.raises(AttachmentError) as raised:
        read_attachment("b", GOOD | change)
    assert raised.value.pointer == pointer


@pytest.mark.parametrize("box", ["", "../x", "a/b", ".hidden", "x" * 129, "a b", "ä"])
def test_a_box_id_is_always_a_file_name(box: str) -> None:
    with pytest.raises(AttachmentError):
        read_attachment(box, GOOD)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_other_json_is_refused(document: Any) -> None:
    with pytest.raises(AttachmentError):
        read_attachment("b", document)
