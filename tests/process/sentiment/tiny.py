"""Models of the shape of CryptoBERT and FinBERT, small and with random weights, saved as their authors saved theirs."""

import re
from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any

CORPUS = [
    "Bitcoin surges past a new record as buyers return to the market.",
    "The exchange froze withdrawals and its token lost half of its value.",
    "Quarterly profit fell to 3.1 million from 4.0 million a year earlier. Sales rose.",
    "I am holding for the long term, what do you think about this coin?",
]
CRYPTOBERT_LABELS = ("Bearish", "Neutral", "Bullish")
FINBERT_LABELS = ("positive", "negative", "neutral")


def roberta(folder: Path, labels: Sequence[str] = CRYPTOBERT_LABELS, *, positions: int = 514) -> Any:
    """RoBERTa: byte-level BPE, padding 1, so positions begin at 2."""
    from tokenizers import ByteLevelBPETokenizer
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.processors import RobertaProcessing
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaForSequenceClassification

    marks = ["<s>", "<pad>", "</s>", "<unk>"]
    pairs = [("i", "n"), ("e", "r"), ("t", "h"), ("Ġ", "th"), ("o", "n"), ("s", "t")]
    known = [*marks, *sorted(ByteLevel.alphabet()), *(one + other for one, other in pairs), "<mask>"]
    made = ByteLevelBPETokenizer({token: place for place, token in enumerate(known)}, pairs)
    made.add_special_tokens([*marks, "<mask>"])
    made.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made._tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
    )
    config = RobertaConfig(
        vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
        max_position_embeddings=positions, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        layer_norm_eps=1e-5, initializer_range=0.3,
    )  # fmt: skip
    return _saved(RobertaForSequenceClassification, config, labels, tokenizer, folder)


def bert(folder: Path, labels: Sequence[str] = FINBERT_LABELS, *, positions: int = 512) -> Any:
    """BERT: word pieces in lower case, padding 0, positions from 0."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = re.findall(r"[a-z]+|\d|[.,?]", " ".join(CORPUS).lower())
    known = [*marks, *words, *ascii_lowercase, *(f"##{letter}" for letter in ascii_lowercase)]
    made = BertWordPieceTokenizer(
        {token: place for place, token in enumerate(dict.fromkeys(known))}, lowercase=True
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made._tokenizer, cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]", pad_token="[PAD]",
        mask_token="[MASK]",
    )  # fmt: skip
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
        max_position_embeddings=positions, pad_token_id=0, layer_norm_eps=1e-12, initializer_range=0.3,
    )  # fmt: skip
    return _saved(BertForSequenceClassification, config, labels, tokenizer, folder)


def _saved(kind: Any, config: Any, labels: Sequence[str], tokenizer: Any, folder: Path) -> Any:
    import torch

    torch.manual_seed(7)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: place for place, label in enumerate(labels)}
    model = kind(config).eval()
    for values in model.parameters():  # biases and norms too: a part that is left out must show
        values.data += torch.randn_like(values) * 0.1
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model
