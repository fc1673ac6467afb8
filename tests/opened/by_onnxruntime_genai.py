"""A folder by onnxruntime-genai: `by_onnxruntime_genai.py FOLDER`, the question on standard input.

All prompts at once, padded on the right.
"""

import json
import sys

import numpy as np
import onnxruntime_genai as og

asked = json.load(sys.stdin)
model, prompts = og.Model(sys.argv[1]), asked["prompts"]
width = max(map(len, prompts))
parameters = og.GeneratorParams(model)
parameters.set_search_options(do_sample=False, max_length=width + asked["num"], batch_size=len(prompts))
generator = og.Generator(model, parameters)
generator.append_tokens(np.array([ids + [0] * (width - len(ids)) for ids in prompts], np.int32))
while not generator.is_done():
    generator.generate_next_token()
tokens = [generator.get_sequence(i)[width:].tolist() for i in range(len(prompts))]
answer = {"tokens": tokens}
if asked["texts"]:
    tokenizer = og.Tokenizer(model)
    # It does nothing to a text before splitting it: the space before the first word is the caller's.
    answer["ids"] = [tokenizer.encode(f" {text}").tolist() for text in asked["texts"]]
    answer["texts"] = [tokenizer.decode(np.array(ids, np.int32)) for ids in asked["ids"]]
print(json.dumps(answer))
