"""Configurations of models by Triton's own schema: `by_tritonclient.py`, a path a line on standard input."""

import json
import sys

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

answer = {}
for path in sys.stdin.read().split("\n"):
    with open(path) as file:
        parsed = text_format.Parse(file.read(), model_config_pb2.ModelConfig())
    answer[path] = json_format.MessageToDict(parsed, preserving_proto_field_name=True)
print(json.dumps(answer))
