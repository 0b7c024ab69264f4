"""The operations of google-genai, Google's Python SDK: method, path, and the text fields of the responses.

The package is written in two ways: hand-made modules that call `self._api_client.request`, and generated ones
in `_gaos` that name a method and a path. Paths here stand without the version. Operations of Vertex AI, whose
paths the same functions hold, are among these: no harm, because judging too many misses none.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Final

from tools.sdk_operations import AnswerField, Operation, evaluated, fields_of, merged

_PACKAGES: Final = ("google.genai", "google.genai._gaos")
_REQUESTS: Final = frozenset({"request", "request_streamed"})
# Without requests of their own; some need packages that are not installed.
_OTHERS: Final = re.compile(r"\Agoogle\.genai\.(?:_(?!gaos)|local_tokenizer)")
_VERSION: Final = re.compile(r"\{+api_version\}+/?")


def google_operations() -> list[Operation]:
    """Give the operations of the installed package, sorted by path."""
    return merged(operation for module in _modules() for operation in _operations_in(module))


def _modules() -> Iterator[ModuleType]:
    for package in _PACKAGES:
        root = importlib.import_module(package)
        for info in pkgutil.iter_modules(root.__path__, f"{package}."):
            if not info.ispkg and not _OTHERS.search(info.name):
                yield importlib.import_module(info.name)


def _operations_in(module: ModuleType) -> Iterator[Operation]:
    for definition in ast.parse(inspect.getsource(module)).body:
        if isinstance(definition, ast.ClassDef) and not definition.name.startswith("Async"):
            for function in definition.body:
                if isinstance(function, ast.FunctionDef):
                    yield from _operations_of(module, function)


def _operations_of(module: ModuleType, function: ast.FunctionDef) -> Iterator[Operation]:
    methods, paths = set[str](), set[str]()
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Attribute(attr=attr), args=[ast.Constant(value=str(method)), *_]) if (
                attr in _REQUESTS
            ):
                methods.add(method.upper())
            case ast.keyword(arg="method", value=ast.Constant(value=str(method))) if method.isupper():
                methods.add(method)
            case ast.keyword(arg="path", value=ast.Constant(value=str(path))):
                paths.add(path)
            case ast.Assign(targets=[ast.Name(id="path")], value=ast.Constant(value=str(path))):
                paths.add(path)
            case ast.Assign(targets=[ast.Name(id="path")], value=ast.JoinedStr(values=values)):
                paths.add("".join(_text(value) for value in values))
            case _:
                pass
    if not methods or not paths:
        return
    text = (ast.get_docstring(function) or "").partition("Args:")[0].partition(":param")[0]
    fields = _fields(module, function)
    for path in paths:
        plain = "/" + _VERSION.sub("", path.partition("?")[0]).lstrip("/")
        for method in methods:
            yield Operation(method, plain, text, fields)


def _text(value: ast.expr) -> str:
    if isinstance(value, ast.Constant):
        return str(value.value)
    return "{id}"


def _fields(module: ModuleType, function: ast.FunctionDef) -> frozenset[AnswerField]:
    if function.returns is None:
        return frozenset()
    return frozenset(fields_of(evaluated(module, function.returns), set()))
