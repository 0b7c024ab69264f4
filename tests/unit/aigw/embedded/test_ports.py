"""The port plan, and the message to a user when a port is taken."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from aigw.embedded.ports import HOST, MAX_BASE, Ports
from shared.listener import ListenError, bind, port_of


def test_ports_lie_one_after_the_other_from_the_base() -> None:
    assert astuple(Ports.of(19_000, None)) == (19_000, 19_001, 19_002, 19_003, 19_004)
    assert astuple(Ports.of(0, None)) == (0, 0, 0, 0, 0)
    assert astuple(Ports.of(19_000, 1000)) == (1000, 19_001, 19_002, 19_003, 19_004)
    assert max(astuple(Ports.of(MAX_BASE, None))) == 65_535


def test_a_taken_port_names_itself_and_the_option_to_change() -> None:
    holder = bind(HOST, 0, option="test")
    taken = port_of(holder)
    with pytest.raises(ListenError, match=f"Port {taken} on {HOST} is in use.*--box-port"):
        Ports.of(0, taken).checked(taken)
    with pytest.raises(ListenError, match="--port-base"):
        Ports(0, taken, 0, 0, 0).checked(None)
    holder.close()


def test_the_box_port_is_known_after_the_check_and_free_again() -> None:
    checked = Ports.of(0, None).checked(None)
    assert checked.box > 0
    bind(HOST, checked.box, option="test").close()
