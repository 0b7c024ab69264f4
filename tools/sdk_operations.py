"""The operations of a provider's Python SDK: method, path, and every text field of the answers.

Read from the resources and answer types in the installed package's sources, so a newer package shows its new
operations at once. For packages of the generator shared by openai and anthropic.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import pkgutil
import sys
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Final

from pydantic import BaseModel

_METHODS: Final[Mapping[str, str]] = {
    "_get": "GET",
    "_post": "POST",
    "_put": "PUT",
    "_patch": "PATCH",
    "_delete": "DELETE",
    "_get_api_list": "GET",
}
_TYPE_ARGUMENTS: Final = ("cast_to", "model", "stream_cls")
_DYNAMIC_PATHS: Final[Mapping[str, str]] = {
    "batch.results_url": "/v1/messages/batches/{message_batch_id}/results",
}
"""Paths taken by the SDK from an answer, by the expression in their place."""


@dataclass(frozen=True, slots=True, order=True)
class AnswerField:
    """A field of text in an answer.

    Attributes:
        name: `Model.field`.
        text: the documentation of the field.
        model_text: the documentation of the model, with the model's own name in front.
        expires: whether the model says when the field's value becomes invalid.
    """

    name: str
    text: str
    model_text: str
    expires: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the SDK.

    Attributes:
        method, path: as in the SDK's sources, without a query; ids stand as `{name}`.
        text: the SDK's own description of the operation.
        fields: every text field of every answer type, nested ones as well.
    """

    method: str
    path: str
    text: str
    fields: frozenset[AnswerField]


def operations_of(package: str) -> list[Operation]:
    """Give the operations of an installed package, sorted by path.

    Operations of the same method and path are merged.
    """
    modules = _modules(f"{package}.resources")
    return merged(operation for module in modules for operation in _operations_in(module))


def merged(operations: Iterable[Operation]) -> list[Operation]:
    """Make one operation of those with the same method and path, and sort by path."""
    found: dict[tuple[str, str], Operation] = {}
    for one in operations:
        other = found.get((one.path, one.method))
        found[one.path, one.method] = (
            Operation(one.method, one.path, f"{other.text}\n{one.text}", other.fields | one.fields)
            if other is not None
            else one
        )
    return [found[key] for key in sorted(found)]


def _modules(package: str) -> Iterator[ModuleType]:
    root = importlib.import_module(package)
    for info in pkgutil.walk_packages(root.__path__, f"{package}."):
        yield importlib.import_module(info.name)


def _operations_in(module: ModuleType) -> Iterator[Operation]:
    for definition in ast.parse(inspect.getsource(module)).body:
        if isinstance(definition, ast.ClassDef) and not definition.name.startswith("Async"):
            for function in definition.body:
                if isinstance(function, ast.FunctionDef):
                    yield from _operations_of_method(module, function)


def _operations_of_method(module: ModuleType, function: ast.FunctionDef) -> Iterator[Operation]:
    text = (ast.get_docstring(function) or "").partition("\nArgs:")[0]
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=attr)) if attr in _METHODS:
                types = [word.value for word in node.keywords if word.arg in _TYPE_ARGUMENTS]
                if function.returns is not None:
                    types.append(function.returns)  # says more where the argument depends on another
                fields = frozenset(
                    field for kind in types for field in fields_of(evaluated(module, kind), set())
                )
                path = _path(node.args[0]).partition("?")[0]
                yield Operation(_METHODS[attr], path, text, fields)


def _path(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(part.value if isinstance(part, ast.Constant) else "{id}" for part in values)  # type: ignore[misc]  # constants of an f-string are text
        case ast.Call(func=ast.Name(id="path_template"), args=[template, *_]):
            return _path(template)
        case ast.IfExp(body=body):
            return _path(body)
        case _:
            return _DYNAMIC_PATHS[ast.unparse(node)]


def evaluated(module: ModuleType, node: ast.expr) -> Any:
    """Give the type named by an argument such as `cast(Any, Union[A, B])` or `Stream[Event]`."""
    names = vars(module) | {"cast": lambda _, value: value}
    if any(
        isinstance(part, ast.Name) and part.id not in names and not hasattr(builtins, part.id)
        for part in ast.walk(node)
    ):
        return None
    return eval(compile(ast.Expression(node), module.__name__, "eval"), names)  # noqa: S307  # an installed package's source


def fields_of(kind: Any, seen: set[type]) -> Iterator[AnswerField]:
    """Give the text fields of a response's type, nested types included, except those in `seen`."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if kind in seen:
            return
        seen.add(kind)
        for name, info in kind.model_fields.items():
            if _holds_text(info.annotation):
                yield _answer_field(kind, name)
            yield from fields_of(info.annotation, seen)
    for part in typing.get_args(kind):
        yield from fields_of(part, seen)


def _holds_text(annotation: Any) -> bool:
    if typing.get_origin(annotation) is typing.Literal:
        return False
    return annotation in {str, object, Any} or any(map(_holds_text, typing.get_args(annotation)))


@cache
def _answer_field(model: type[BaseModel], name: str) -> AnswerField:
    texts = _field_texts(model)
    return AnswerField(
        f"{model.__name__}.{name}",
        texts.get(name, ""),
        f"{model.__name__}: {model.__doc__ or ''}",
        any("expire" in other for other in model.model_fields),
    )


@cache
def _field_texts(model: type[BaseModel]) -> Mapping[str, str]:
    """Read the text below each field: only the source has the text."""
    texts: dict[str, str] = {}
    for definition in _parsed(model.__module__).body:
        if isinstance(definition, ast.ClassDef) and definition.name == model.__name__:
            for field, below in zip(definition.body, definition.body[1:], strict=False):
                match field, below:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                        value=ast.Constant(value=str(text))
                    ):
                        texts[name] = text
                    case _:
                        pass
    return texts


@cache
def _parsed(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(sys.modules[module]))
