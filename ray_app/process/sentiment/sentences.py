"""FinBERT reads sentence by sentence, as it was trained; this cuts texts into them and puts the answers together."""

import re
from collections.abc import Sequence

from ray_app.process.sentiment.scores import Probabilities

MOST = 16  # sentences of a text that are read
_SAYS_SOMETHING = 1e-6  # how much of not-neutral there must be to weigh by it

_SHORT = ("Mr", "Mrs", "Ms", "Dr", "Prof", "St", "vs", "No", "Inc", "Corp", "Co", "Ltd", "Jr", "Sr", "approx", "Jan",
          "Feb", "Mar", "Apr", "Jun", "Jul", "Aug", "Sep", "Sept", "Oct", "Nov", "Dec")  # fmt: skip
_END = re.compile(
    # After . ! or ? with what closes around it: a space and then what can begin a sentence. Not after an initial.
    r"(?<=[.!?])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[A-Z0-9$€£])|\n+"
)
_ABBREVIATED = re.compile(rf"(?:\b(?:{'|'.join(_SHORT)})|\b[A-Z])\.[\"'”’)\]]*$")


def sentences(text: str) -> tuple[str, ...]:
    """The first 16 sentences; a line break ends one."""
    found: list[str] = []
    begin = 0
    for end in _END.finditer(text):
        part = text[begin : end.end()].strip()
        if "\n" not in end[0] and _ABBREVIATED.search(part):
            continue
        if part:
            found.append(part)
        begin = end.end()
        if len(found) == MOST:
            return tuple(found)
    if rest := text[begin:].strip():
        found.append(rest)
    return tuple(found)


def together(parts: Sequence[Probabilities]) -> Probabilities:
    """The mean of the sentences' probabilities, each weighing what it is not neutral; all neutral: the plain mean.

    So one sentence with news is not talked down by ten that describe the company.
    """
    weights = [1.0 - neutral for _, neutral, _ in parts]
    if sum(weights) < _SAYS_SOMETHING:
        weights = [1.0] * len(parts)
    total = sum(weights)
    bearish, neutral, bullish = (
        sum(weight * part[place] for weight, part in zip(weights, parts, strict=True)) / total
        for place in range(3)
    )
    return bearish, neutral, bullish
