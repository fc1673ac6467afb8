"""A GGUF file by llama.cpp, its server in this process: `by_xllamacpp.py FILE`, the question on standard input."""

import json
import sys
import urllib.request

import xllamacpp

asked = json.load(sys.stdin)
parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.n_parallel, parameters.warmup, parameters.cpuparams.n_threads = 1, False, 1
server = xllamacpp.Server(parameters)


def ask(route: str, **question: object) -> dict:
    request = urllib.request.Request(server.listening_address + route, json.dumps(question).encode())
    request.add_header("Content-Type", "application/json")
    return json.load(urllib.request.urlopen(request))


def completed(ids: list[int]) -> dict:
    bias = [[i, False] for i in asked["forbidden"]]
    how = {"n_predict": asked["num"], "temperature": 0, "logit_bias": bias, "return_tokens": True}
    return ask("/completion", prompt=ids, cache_prompt=False, **how)


answers = [completed(ids) for ids in asked["prompts"]]
# It does nothing to a text before splitting it: the space before the first word is the caller's.
ids = [ask("/tokenize", content=f" {text}")["tokens"] for text in asked["texts"]]
told = [ask("/detokenize", tokens=ids)["content"] for ids in asked["ids"]]
drawn = answers[0]["generation_settings"] if answers else {}
print(json.dumps({"tokens": [answer["tokens"] for answer in answers], "ids": ids, "texts": told, "settings": drawn}))
