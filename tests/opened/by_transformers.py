"""A folder by Hugging Face's transformers: `by_transformers.py FOLDER`, the question on standard input."""

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

asked = json.load(sys.stdin)
model, tokenizer = AutoModelForCausalLM.from_pretrained(sys.argv[1]), AutoTokenizer.from_pretrained(sys.argv[1])
with torch.no_grad():
    logits = [model(torch.tensor([ids])).logits[0].tolist() for ids in asked["prompts"]]
greedy = {"do_sample": False, "max_new_tokens": asked["num"]}
whole = [model.generate(torch.tensor([ids]), **greedy)[0].tolist() for ids in asked["prompts"]]
tokens = [ids[len(given) :] for given, ids in zip(asked["prompts"], whole)]
told = [tokenizer.decode(ids, skip_special_tokens=True) for ids in asked["ids"]]
ids = [tokenizer(text, add_special_tokens=False).input_ids for text in asked["texts"]]
print(json.dumps({"logits": logits, "tokens": tokens, "ids": ids, "texts": told}))
