"""Which texts are keys, and which part of a key may be shown."""

from __future__ import annotations

import pytest

from services.control_plane.rules.endpoint import default_endpoint
from services.control_plane.rules.key import MAX_KEY_CHARS, JudgedKey, judge_key, label_key
from services.control_plane.rules.problems import Problem, ProblemError
from shared.endpoint import parse_endpoint
from shared.providers import ProviderName
from shared.secret import Secret

GOOD = "sk-proj-0123456789abcdef"


CUSTOM = parse_endpoint("https://gateway.example/v1")


def judge(provider: ProviderName, text: str, *, custom: bool = False) -> JudgedKey:
    endpoint = CUSTOM if custom else default_endpoint(provider)
    return judge_key(provider, Secret(text), endpoint, is_own=not custom)


def judged(text: str, *, custom: bool = False) -> str:
    return judge("openai", text, custom=custom).key.reveal()


def refusal(text: str) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        judged(text)
    return caught.value


@pytest.mark.parametrize("around", ["{}", " {}", "{}\n", "\t{}\r\n"])
def test_space_around_a_pasted_key_is_trimmed(around: str) -> None:
    assert judged(around.format(GOOD)) == GOOD


@pytest.mark.parametrize(
    "mask",
    [
        "sk-…AbCd",
        "sk-...AbCd",
        "****",
        "********",
        "sk-****AbCd",
        "••••••••AbCd",
        "Secret(***)",
        "xxxxxxxx",
        "[REDACTED]",
        "<your key>",
        "…",
    ],
)
def test_a_mask_is_never_taken_for_a_key(mask: str) -> None:
    error = refusal(mask)
    assert error.problem is Problem.KEY_REFUSED
    assert "masked" in error.detail


@pytest.mark.parametrize("byte", [*range(0x21), *range(0x7F, 0x100)])
def test_no_byte_that_could_break_a_header_is_taken_inside_a_key(byte: int) -> None:
    assert refusal(f"sk-0123{chr(byte)}456789").problem is Problem.KEY_REFUSED


@pytest.mark.parametrize("byte", list(range(0x21, 0x7F)))
def test_every_visible_character_may_stand_in_a_key(byte: int) -> None:
    text = f"sk-0123{chr(byte)}456789"
    assert judged(text) == text


def test_a_key_has_8_to_512_characters() -> None:
    assert judged("a" * 7 + "b", custom=True) == "a" * 7 + "b"
    assert len(judged("sk-" + "a" * (MAX_KEY_CHARS - 3))) == MAX_KEY_CHARS
    assert refusal("sk-0123").faults[0].pointer == "#/api_key"
    assert "512" in refusal("k" * (MAX_KEY_CHARS + 1)).detail
    assert refusal("").problem is Problem.KEY_REFUSED


def test_the_placeholder_of_boxes_is_no_key() -> None:
    assert "placeholder" in refusal("run9-placeholder").detail


def test_no_refusal_repeats_the_key() -> None:
    error = refusal("sk-secret secret-part-of-a-key")
    assert "secret-part" not in repr(error) + str(error)


def test_a_key_of_the_other_provider_is_a_warning_and_no_error() -> None:
    warned = judge("openai", "sk-ant-api03-0123456789")
    assert "Anthropic" in warned.warnings[0]
    assert judge("anthropic", GOOD, custom=True).warnings
    assert not judge("anthropic", "sk-ant-oat01-0123456789").warnings


def test_an_unknown_kind_of_key_is_only_remarkable_at_the_providers_own_endpoint() -> None:
    assert judge("openai", "gateway-key-1").warnings
    assert not judge("openai", "gateway-key-1", custom=True).warnings


def test_a_fingerprint_is_stable_and_differs_by_key_org_provider_and_pepper() -> None:
    base = label_key(b"pepper", "acme", "openai", Secret(GOOD))
    assert base == label_key(b"pepper", "acme", "openai", Secret(GOOD))
    assert base.last4 == "cdef"
    others = {
        label_key(b"pepper", "acme", "openai", Secret(GOOD + "x")).fingerprint,
        label_key(b"pepper", "other", "openai", Secret(GOOD)).fingerprint,
        label_key(b"pepper", "acme", "anthropic", Secret(GOOD)).fingerprint,
        label_key(b"salt", "acme", "openai", Secret(GOOD)).fingerprint,
    }
    assert len(others | {base.fingerprint}) == 5
