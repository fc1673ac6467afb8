"""Sentence vectors of the package `wordllama`, which carries its weights (16 MB): the mean of its tokens' vectors.

What was learnt from much English text tells that «bike» and «bicycle» are alike, which counting on the references alone
does not; word order it does not see at all. The package's two files are read as they lie: its own loader may go and
download. Its vectors are trained so that the first dimensions hold the most; 64 of the 256 are kept, as many as the
default encoder has.

Shapes: N texts, V tokens known, D dimensions.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from tokenizers import Tokenizer

from gdcore.errors import UserError
from gdcore.evaluation.evidence import Texts
from gdcore.evaluation.ngram_counts import Floats

WEIGHTS = "weights/l2_supercat_256.safetensors"
TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
DIM = 64


class Encoder:
    """Texts → rows of length one, shape (N, 64); an empty text is the origin."""

    def __init__(self, folder: Path):
        from safetensors.numpy import load_file

        self._tokenizer: Any = Tokenizer.from_file(str(folder / TOKENIZER))
        (vectors_VD,) = load_file(folder / WEIGHTS).values()
        self._vectors_VD = vectors_VD[:, :DIM].astype(np.float64)

    def encode(self, texts: Texts) -> Floats:
        encoded = self._tokenizer.encode_batch_fast([" ".join(text) for text in texts], add_special_tokens=False)
        ids = [each.ids for each in encoded]
        starts = np.cumsum([0, *map(len, ids)])
        indices = np.array([token for text in ids for token in text], np.int64)
        times_NV = sparse.csr_array((np.ones(len(indices)), indices, starts), shape=(len(ids), len(self._vectors_VD)))
        sums_ND = np.asarray(times_NV @ self._vectors_VD)
        return sums_ND / np.maximum(np.linalg.norm(sums_ND, axis=1, keepdims=True), 1e-12)


def fit(references: Texts) -> Encoder:
    """Nothing is learnt from the references. Raises UserError where the package is missing or other than expected."""
    spec = find_spec("wordllama")
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()] if spec else []
    for folder in folders:
        if (folder / WEIGHTS).is_file() and (folder / TOKENIZER).is_file():
            return Encoder(folder)
    fault = "holds other files than expected" if folders else "is not installed"
    raise UserError(
        f"the encoder wordllama: the package of that name {fault}; install it with: pip install 'gdflow[encoder]', "
        "or choose the encoder tfidf_svd, which needs nothing"
    )
