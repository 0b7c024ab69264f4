"""A program in a box: the openai SDK, set up by its environment alone. Prints what it got as JSON."""

from __future__ import annotations

import json
import sys

import openai


def main() -> None:
    client = openai.OpenAI()
    question = "say ping"
    plain = client.chat.completions.create(model="m", messages=[{"role": "user", "content": question}])
    stream = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": question}], stream=True
    )
    chunks = [chunk.choices[0].delta.content or "" for chunk in stream]
    response = client.responses.create(model="m", input=question)
    with client.responses.stream(model="m", input=question) as events:
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    found = {
        "plain": plain.choices[0].message.content,
        "chunks": chunks,
        "response": response.output_text,
        "deltas": deltas,
        "models": [model.id for model in client.models.list()],
        "embedding_length": len(client.embeddings.create(model="m", input="x").data[0].embedding),
    }
    json.dump(found, sys.stdout)


main()
