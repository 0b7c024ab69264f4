"""A program in a box: litellm is refused, and the exception is not caught."""

from __future__ import annotations

import litellm  # type: ignore[import-not-found]  # has an environment of its own

litellm.completion(model="openai/gpt-5", messages=[{"role": "user", "content": "say ping"}])
