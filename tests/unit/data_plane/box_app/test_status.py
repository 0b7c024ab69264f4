"""The status page as text and as JSON."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.data_plane.account.last_errors import LastError
from services.data_plane.box_app.status import Status, as_json, as_text, provider_status
from services.data_plane.box_app.status_page import POLICY, as_html
from services.data_plane.core.integration import CompiledIntegration, NotReady
from services.data_plane.table.compile import compile_integration
from shared.box_token import Box
from shared.providers import PROVIDERS
from tests.support.config_truth import document, row

ORIGIN = "http://127.0.0.1:20000"
BOX = Box("acme", "box-1", "life-1", 0.0)
KEY = "sk-canary-77"
ON = compile_integration(row(), document(key=KEY), allow_plain_http=False)


def page(found: CompiledIntegration | NotReady, error: LastError | None = None, name: str = "Acme") -> Status:
    item = provider_status(PROVIDERS["openai"], found, origin=ORIGIN, last_error=error)
    return Status(BOX, name, ("ann@acme.example", "bob@acme.example"), ORIGIN, (item,))


def failed(status: int, code: str = "", request_id: str = "req_9") -> LastError:
    return LastError(at=1_793_700_900.0, status=status, code=code, request_id=request_id)


@pytest.mark.parametrize(
    ("found", "state", "advice"),
    [
        (ON, "on", "Nothing to fix"),
        (NotReady.DISABLED, "off", "owner can switch it on"),
        (NotReady.MISSING, "missing", "owner can add the API key"),
        (NotReady.LOADING, "loading", "tell the platform's operator"),
        (NotReady.UNKNOWN, "unknown", "tell the platform's operator"),
    ],
)
def test_each_state_is_named_and_says_what_to_do(
    found: CompiledIntegration | NotReady, state: str, advice: str
) -> None:
    text, data = as_text(page(found)), as_json(page(found))["providers"][0]
    assert f"OpenAI: {state.upper()}" in text
    assert data["state"] == state
    assert advice in text
    assert advice in data["next"]
    assert bool(data["why"]) is (state != "on")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (failed(400, "upstream_key_rejected"), "replace the API key"),
        (failed(403), "check its rights"),
        (failed(429), "usage and billing"),
        (failed(404), "model's name"),
        (failed(500), "check the endpoint"),
        (failed(502, "upstream_unreachable"), "check the endpoint"),
        (failed(0), "check the endpoint"),
    ],
)
def test_the_last_error_decides_what_to_check_next(error: LastError, advice: str) -> None:
    assert advice in as_json(page(ON, error))["providers"][0]["next"]


def test_the_last_error_is_shown_with_time_status_and_request_id() -> None:
    status = page(ON, failed(429))
    assert "2026-11-03T10:15:00.000Z, status 429, request req_9" in as_text(status)
    assert as_json(status)["providers"][0]["last_error"] == {
        "time": "2026-11-03T10:15:00.000Z",
        "status": 429,
        "code": None,
        "request_id": "req_9",
    }


def test_an_old_error_does_not_hide_that_the_provider_is_off() -> None:
    assert "switch it on" in as_json(page(NotReady.DISABLED, failed(500)))["providers"][0]["next"]


def test_a_request_id_cannot_write_to_the_terminal() -> None:
    text = as_text(page(ON, failed(500, request_id="\x1b[31mred\r\n" + "x" * 500)))
    assert "\x1b" not in text
    assert "\r" not in text
    assert "x" * 130 not in text


def test_the_page_tells_box_org_owners_and_the_base_url_to_use() -> None:
    text = as_text(page(ON))
    for expected in ("box-1", "Acme (acme)", "ann@acme.example, bob@acme.example"):
        assert expected in text
    assert f"export OPENAI_BASE_URL={ORIGIN}/run9/ai/openai/v1/ OPENAI_API_KEY=run9-placeholder" in text
    assert as_json(page(ON))["providers"][0]["base_url"] == f"{ORIGIN}/run9/ai/openai/v1/"


def test_an_org_without_a_name_is_shown_by_its_id() -> None:
    assert "Organization  acme\n" in as_text(page(ON, name=""))


def test_no_key_is_ever_on_the_page() -> None:
    assert KEY not in as_text(page(ON)) + str(as_json(page(ON)))


def test_a_key_that_was_just_refused_is_not_called_on() -> None:
    item = provider_status(
        PROVIDERS["openai"],
        ON,
        origin=ORIGIN,
        last_error=failed(400, "upstream_key_rejected"),
        portal="https://portal.example",
        is_key_rejected=True,
    )
    page_of = Status(BOX, "Acme", (), ORIGIN, (item,), "https://portal.example")
    for text in (as_text(page_of), as_html(page_of)):
        assert "KEY REJECTED" in text
        assert "OpenAI: ON" not in text
        assert "https://portal.example" in text
    assert as_json(page_of)["providers"][0]["key_rejected"] is True


def test_a_refusal_of_the_key_before_is_no_error_of_the_key_now() -> None:
    assert isinstance(ON, CompiledIntegration)
    of_now, of_before = (
        provider_status(
            PROVIDERS["openai"],
            ON,
            origin=ORIGIN,
            last_error=replace(failed(400, "upstream_key_rejected"), secret_version=ON.secret_version + more),
        )
        for more in (0, 1)
    )
    assert of_now.last_error is not None
    assert "replace the API key" in of_now.next_step
    assert of_before.last_error is None
    assert "Nothing to fix" in of_before.next_step


def test_the_page_for_a_browser_escapes_every_name_and_allows_only_its_own_script() -> None:
    html = as_html(page(ON, name="<script>alert(1)</script>"))
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert html.count("<script>") == 1
    assert POLICY.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in POLICY
