"""A program in a box: what Google's SDK for Python makes of a refusal, with and without a stream."""

from __future__ import annotations

import json
import sys

from google import genai
from google.genai import errors

client = genai.Client()
found = []
for stream in (False, True):
    try:
        if stream:
            list(client.models.generate_content_stream(model="gemini-2.5-flash", contents="hi"))
        else:
            client.models.generate_content(model="gemini-2.5-flash", contents="hi")
    except errors.APIError as error:
        kind = type(error).__name__
        found.append({"error": kind, "status": error.status, "code": error.code, "message": error.message})
json.dump(found, sys.stdout)
