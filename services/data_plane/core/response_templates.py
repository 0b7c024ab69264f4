"""Templates of a provider's response heads: status line and field names in order, as one expression.

A provider sends the same names in the same order in response after response; only values differ. An ordinary
response of a known template is then read by a single match instead of line by line, with the same strictness
and the same result. A special response, or a response of another template, is read line by line.

A template holds names, never values, and changes how fast a response is read, never how.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from itertools import groupby
from typing import TYPE_CHECKING, Final

from services.data_plane.core.field_lines import CAPTURE, PASS
from services.data_plane.core.framing import ChunkedFraming, Framing, LengthFraming
from services.data_plane.core.header_rules import response_rule
from services.data_plane.core.response_head import ResponseHead, request_id_text

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

MAX_TEMPLATES: Final = 128
MAX_TEMPLATE_LINES: Final = 64
MAX_TEMPLATE_BYTES: Final = 2048  # of the status line and the names
MAX_ENDPOINTS: Final = 2048
MAX_TEMPLATES_PER_ENDPOINT: Final = 4
MAX_COUNTED_KEYS: Final = 64
REPEATS_BEFORE_COMPILING: Final = 3
HEADS_PER_COMPILING: Final = 512

_VALUE: Final = rb"[\t\x20-\x7e\x80-\xff]*+"  # RFC 9110 §5.5
_BLANK: Final = rb"[ \t]*+"
# The values of a captured field in an ordinary answer. Any other value (a redirect's, a switch of protocols')
# makes an answer that is read line by line.
_ORDINARY: Final = {
    b"connection": _BLANK + b"(?i:keep-alive)" + _BLANK,
    b"content-length": _BLANK + b"[0-9]{1,18}+" + _BLANK,
    b"transfer-encoding": _BLANK + b"(?i:chunked)" + _BLANK,
    b"x-request-id": _VALUE,
    b"request-id": _VALUE,
}
_READ: Final = frozenset({b"content-length", b"x-request-id", b"request-id"})
_FRAMED_BY: Final = (b"content-length", b"transfer-encoding")

TemplateKey = tuple[bytes, ...]
"""The status line, and the names in their spelling."""


class ResponseTemplate:
    """A template.

    Args:
        key: the result of `template_key` for a head of this template.
        status, reason: of all its answers, as `ResponseHead` has them.
    """

    __slots__ = ("_chunked", "_pattern", "_reason", "_status", "_wanted")

    def __init__(self, key: TemplateKey, status: int, reason: bytes) -> None:
        status_line, *names = key
        # The first group is empty: it stands for what this template does not have.
        pattern, group = [b"()", re.escape(status_line)], 1
        blocks: list[int] = []
        read: dict[bytes, int] = {}
        # Neighbours that are kept are one block: one group of the match, one piece of the head that is sent.
        for kept, run in groupby(names, key=lambda name: bool(response_rule(name.lower()) & PASS)):
            if kept:
                group += 1
                blocks.append(group)
            lines = []
            for name in run:
                lower = name.lower()
                value = _ORDINARY.get(lower, _VALUE)
                if lower in _READ:
                    group += 1
                    read[lower] = group
                    value = b"(" + value + b")"
                lines.append(re.escape(name) + b":" + value)
            text = b"\r\n".join(lines)
            pattern.append((b"(" + text + b")" if kept else text) + b"\r\n")
        self._pattern = re.compile(b"".join(pattern) + b"\r\n")
        request_id = read.get(b"x-request-id", read.get(b"request-id", 1))
        self._wanted = (read.get(b"content-length", 1), request_id, *blocks)
        self._chunked = b"content-length" not in read
        self._status = status
        self._reason = reason

    def read(self, data: bytes, request_method: bytes, limit_bytes: int) -> tuple[ResponseHead, int] | None:
        """Read the head at the beginning of `data`, and give its end.

        None for a head of another template, a partial head, or a head beyond `limit_bytes`.
        """
        match = self._pattern.match(data, 0, limit_bytes)
        if match is None:
            return None
        length, request_id, *kept = match.group(*self._wanted)
        framing: Framing | None = None
        if request_method != b"HEAD":
            if self._chunked:
                framing = ChunkedFraming(padded=True)
            elif left := int(length):
                framing = LengthFraming(left)
        # By position: this is once per request, and names cost.
        head = ResponseHead(
            self._status, self._reason, kept, framing, True, None, request_id_text(request_id)
        )  # fmt: skip
        return head, match.end()


def template_key(status_line: bytes, lines: Sequence[bytes]) -> TemplateKey | None:
    """Give the identity of an answer's template; None for a special answer."""
    names = [line[: line.find(b":")] for line in lines]
    lower = [name.lower() for name in names]
    captured = [name for name in lower if response_rule(name) & CAPTURE]
    if len(set(captured)) < len(captured) or not _ORDINARY.keys() >= set(captured):
        return None
    if sum(name in captured for name in _FRAMED_BY) != 1:
        return None
    return (status_line, *names)


class TemplateStore:
    """Compiled templates, shared by all, and the knowledge about each endpoint; the oldest unused go."""

    def __init__(self) -> None:
        self._templates: OrderedDict[TemplateKey, ResponseTemplate] = OrderedDict()
        self._endpoints: OrderedDict[Hashable, EndpointTemplates] = OrderedDict()

    def __len__(self) -> int:
        return len(self._templates)

    def get(self, key: TemplateKey, status: int, reason: bytes) -> ResponseTemplate:
        """Give the template of this key, compiled when new."""
        template = self._templates.get(key)
        if template is None:
            template = self._templates[key] = ResponseTemplate(key, status, reason)
            if len(self._templates) > MAX_TEMPLATES:
                self._templates.popitem(last=False)
        else:
            self._templates.move_to_end(key)
        return template

    def endpoint(self, owner: Hashable) -> EndpointTemplates:
        """Give the knowledge about the answers of an org's endpoint.

        A new connection begins with this knowledge.
        """
        known = self._endpoints.get(owner)
        if known is None:
            known = self._endpoints[owner] = EndpointTemplates(self)
            if len(self._endpoints) > MAX_ENDPOINTS:
                self._endpoints.popitem(last=False)
        else:
            self._endpoints.move_to_end(owner)
        return known


class EndpointTemplates:
    """The learned heads of an org's connections to an endpoint.

    Compiling costs as much as reading some hundred heads, so a template must repeat first. A provider with
    ever changing templates has a few compiled at once, then a single template per some hundred heads read by
    line.

    Attributes:
        template: the last matching template.
    """

    __slots__ = ("_budget", "_counts", "_others", "_store", "_unlearned", "template")

    def __init__(self, store: TemplateStore) -> None:
        self.template: ResponseTemplate | None = None
        self._others: list[ResponseTemplate] = []  # the latest first
        self._store = store
        self._counts: dict[int, int] = {}  # by the hash of a key, which may be long
        self._budget = MAX_TEMPLATES_PER_ENDPOINT
        self._unlearned = 0

    def read(self, data: bytes, request_method: bytes, limit_bytes: int) -> tuple[ResponseHead, int] | None:
        """Read the head at the beginning of `data` by a known template, as `ResponseTemplate.read` does."""
        if self.template is None:
            return None
        found = self.template.read(data, request_method, limit_bytes)
        return found or self._read_by_another(data, request_method, limit_bytes)

    def _read_by_another(
        self, data: bytes, request_method: bytes, limit_bytes: int
    ) -> tuple[ResponseHead, int] | None:
        for template in self._others:
            found = template.read(data, request_method, limit_bytes)
            if found is not None:
                self._put_first(template)
                return found
        return None

    def learn(self, raw: bytes, head: ResponseHead) -> None:
        """Take a final head read line by line, perhaps to be kept."""
        if head.framing is None or not head.keep_alive:
            return
        if not self._budget:
            self._unlearned += 1
            if self._unlearned < HEADS_PER_COMPILING:
                return
            self._unlearned, self._budget = 0, 1
        status_line, *lines = raw[:-4].split(b"\r\n")
        if not 0 < len(lines) <= MAX_TEMPLATE_LINES:
            return
        key = template_key(status_line + b"\r\n", lines)
        if key is None or sum(map(len, key)) > MAX_TEMPLATE_BYTES:
            return
        hashed = hash(key)
        count = self._counts.get(hashed, 0) + 1
        if count < REPEATS_BEFORE_COMPILING:
            if len(self._counts) >= MAX_COUNTED_KEYS:
                self._counts.clear()
            self._counts[hashed] = count
            return
        self._counts.pop(hashed, None)
        self._budget -= 1
        self._put_first(self._store.get(key, head.status, head.reason))

    def _put_first(self, template: ResponseTemplate) -> None:
        known = self._others if self.template is None else [self.template, *self._others]
        others = [other for other in known if other is not template]
        self.template, self._others = template, others[: MAX_TEMPLATES_PER_ENDPOINT - 1]
