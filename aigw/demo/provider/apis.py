"""The demo APIs: a demo for every provider with a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from aigw.demo.provider import anthropic_api, gemini_api, openai_api, openai_responses
from aigw.demo.provider.api import DemoApi

if TYPE_CHECKING:
    from shared.providers import ProviderName

APIS: Final[Mapping[ProviderName, DemoApi]] = {
    "openai": DemoApi(
        is_meant=lambda _request: True,
        check_key=openai_api.check_key,
        refusal_answer=openai_api.refusal_answer,
        no_such_route=openai_api.no_such_route,
        routes=(
            ("POST", "/v1/chat/completions", openai_api.chat_completions),
            ("POST", "/v1/responses", openai_responses.responses),
            ("POST", "/v1/embeddings", openai_api.embeddings),
            ("GET", "/v1/models", openai_api.list_models),
            ("GET", "/v1/models/{model}", openai_api.get_model),
        ),
    ),
    "anthropic": DemoApi(
        is_meant=anthropic_api.is_meant,
        check_key=anthropic_api.check_key,
        refusal_answer=anthropic_api.refusal_answer,
        no_such_route=anthropic_api.no_such_route,
        routes=(
            ("POST", "/v1/messages", anthropic_api.messages),
            ("POST", "/v1/messages/count_tokens", anthropic_api.count_message_tokens),
            ("GET", "/v1/models", anthropic_api.list_models),
            ("GET", "/v1/models/{model}", anthropic_api.get_model),
        ),
    ),
    "gemini": DemoApi(
        is_meant=gemini_api.is_meant,
        check_key=gemini_api.check_key,
        refusal_answer=gemini_api.refusal_answer,
        no_such_route=gemini_api.no_such_route,
        routes=tuple(
            (method, f"/{version}/{path}", answer)
            for version in ("v1beta", "v1alpha", "v1")
            for method, path, answer in (
                ("GET", "models", gemini_api.list_models),
                ("GET", "models/{model}", gemini_api.get_model),
                ("POST", "models/{model}", gemini_api.act),
            )
        ),
    ),
}
"""The first takes every request that no later API claims."""
