"""A bundle in Python, where torch cannot be imported: `by_onnxruntime.py BUNDLE`, the question on standard input."""

import json
import sys

sys.modules["torch"] = None  # whoever imports it fails

from gdcore.serving.session import Session  # noqa: E402

asked = json.load(sys.stdin)
session = Session(sys.argv[1])
print(
    json.dumps({"texts": session.generate(prompts=asked["texts"], temperature=0), "nll": session.score(asked["texts"])})
)
