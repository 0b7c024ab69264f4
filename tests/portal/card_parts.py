"""Parts of the OpenAI card as a person finds them, and a key that is typed into the card."""

from __future__ import annotations

from playwright.async_api import Locator

ANOTHER_KEY = "sk-demo-another-key-0123456789"


async def replace_key(card: Locator, key: str = ANOTHER_KEY) -> None:
    await card.get_by_role("button", name="Replace the key").click()
    await card.get_by_label("Upstream API Key").fill(key)


def save_of(card: Locator) -> Locator:
    return card.get_by_role("button", name="Save OpenAI")


def told(card: Locator) -> Locator:
    return card.locator(".told")
