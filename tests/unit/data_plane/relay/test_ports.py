"""The relay's ports: the real parts have each method of their port, and the relay calls no other."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from services.data_plane.account.books import Books
from services.data_plane.identity.header import HeaderIdentity
from services.data_plane.identity.proxy_tlv import ConnectionIdentity, PrefaceIdentity, UnprovenIdentity
from services.data_plane.identity.static import StaticIdentity
from services.data_plane.relay import ports
from services.data_plane.relay.ports import Account, Identity, PrefaceDoor, Table
from services.data_plane.table.config_table import ConfigTable
from tests.unit.data_plane.relay.relay_world import HeldBooks, HeldTable, OneBox

PARTS: list[tuple[type, type]] = [
    *((part, Identity) for part in (StaticIdentity, HeaderIdentity, ConnectionIdentity, UnprovenIdentity)),
    (OneBox, Identity),
    (PrefaceIdentity, PrefaceDoor),
    *((part, Table) for part in (ConfigTable, HeldTable)),
    *((part, Account) for part in (Books, HeldBooks)),
]


def methods_of(port: type) -> dict[str, inspect.Signature]:
    found = {name: value for name, value in vars(port).items() if not name.startswith("_")}
    return {name: inspect.signature(value) for name, value in found.items() if inspect.isfunction(value)}


@pytest.mark.parametrize(("part", "port"), PARTS)
def test_a_part_and_its_fake_have_every_method_of_the_port(part: type, port: type) -> None:
    methods = methods_of(port)
    assert methods
    for name, expected in methods.items():
        found = inspect.signature(getattr(part, name))
        required = [one for one in found.parameters.values() if one.default is one.empty]
        assert list(found.parameters)[: len(expected.parameters)] == list(expected.parameters)
        assert len(required) <= len(expected.parameters)
        assert inspect.iscoroutinefunction(getattr(part, name)) == inspect.iscoroutinefunction(
            getattr(port, name)
        )


@pytest.mark.parametrize(("attribute", "port"), [("table", Table), ("account", Account)])
def test_the_relay_calls_nothing_on_a_port_that_the_port_does_not_declare(attribute: str, port: type) -> None:
    called = set()
    for source in Path(inspect.getfile(ports)).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Attribute)
                and node.value.attr == attribute
            ):
                called.add(node.attr)
    assert called == set(methods_of(port))
