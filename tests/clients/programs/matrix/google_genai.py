"""A program in a box: one call of Python's google-genai, named by its argument. Prints the text it got."""

from __future__ import annotations

import io
import sys
from typing import Any

from google import genai
from google.genai import types

REQUEST: Any = {"model": "gemini-2.5-flash", "contents": "say ping"}
CLIENT = genai.Client()
CITY: Any = {"type": "object", "properties": {"city": {"type": "string"}}}


def plain() -> str:
    return str(CLIENT.models.generate_content(**REQUEST).text)


def stream() -> str:
    return "".join(part.text or "" for part in CLIENT.models.generate_content_stream(**REQUEST))


def tools() -> str:
    declared = types.FunctionDeclaration(name="weather", parameters_json_schema=CITY)
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declared])])
    (call,) = CLIENT.models.generate_content(**REQUEST, config=config).function_calls or []
    return str(call.args)


def files() -> str:
    return str(CLIENT.files.upload(file=io.BytesIO(b"x" * 100_000), config={"mime_type": "text/plain"}).name)


CALLS = {"plain": plain, "stream": stream, "tools": tools, "files": files}
sys.stdout.write(CALLS[sys.argv[1]]())
