"""Which coins and stocks a text speaks of, each with a confidence. Rules, no model; the same answer every time.

Longest form first, so that "Bitcoin Cash" is not Bitcoin and "Bitcoin Magazine" is nothing. A ticker or name
that is also a word ("NEAR", "Optimism") counts only with evidence beside it. The times of a ticker are the
registry's: LUNA of a text from 2021 is today's LUNC.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from ray_app.model.symbols import AmbiguousSymbol, Registry
from ray_app.process import linking_context as context
from ray_app.process.linking_context import Candidate, Sentence
from ray_app.process.linking_forms import Form, Kind, Need, forms

__all__ = ["LINKER", "Linker", "Mention"]

LINKER = "rules/1"

TAGGED, SURE, BESIDE, TOPICAL = 0.99, 0.97, 0.9, 0.8  # by what the mention rests on, in a title
IN_TEXT = 0.85  # times that, where only the text below the title says it
GAPS = frozenset({" ", "-", ".", "\u00a0", ". ", "’", "'"})  # between the words of one form


@dataclass(frozen=True, slots=True)
class Mention:
    """An asset that a text speaks of. `asset`: a coin's id in the registry, a stock's ticker."""

    asset: str
    kind: Kind
    confidence: float  # 0 to 1


class Linker:
    """Finds the assets of a registry, and the stocks of `linking_stocks.csv`, in texts."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._forms: dict[str, list[Form]] = {}
        for form in forms(registry):
            self._forms.setdefault(form.words[0], []).append(form)
        for same in self._forms.values():
            # The longest first; of one length, the one that asks for the most capitals.
            same.sort(key=lambda form: (-len(form.words), -sum(map(str.isupper, form.written))))
        every = (form for same in self._forms.values() for form in same)
        self._now = {form.means: self._coin(form.means, None) for form in every if form.kind == "coin"}

    def mentions(
        self, title: str, text: str = "", hints: Collection[str] = (), at: datetime | None = None
    ) -> tuple[Mention, ...]:
        """The assets that title and text speak of, the surest first.

        `hints`: tickers or ids that the upstream attached to the item. For their assets they stand for the
        topic of crypto; they never make a mention by themselves. `at`: when the text was published, aware,
        for tickers that changed hands; None: now.
        """
        head = [(sentence, 1.0) for sentence in context.sentences(title)]
        body = [(sentence, IN_TEXT) for sentence in context.sentences(text)]
        found = [(sentence, weight, list(self._candidates(sentence))) for sentence, weight in head + body]
        about = any(_is_about_crypto(sentence, candidates) for sentence, _, candidates in found[: len(head)])
        hinted = {self._hint(hint, at) for hint in hints}
        written: dict[str, set[str]] = {}  # per asset, the different ways in which this text writes it
        for _, _, candidates in found:
            for one in candidates:
                written.setdefault(self._asset(one.form, at), set()).add(one.form.written.lower())
        best: dict[tuple[str, Kind], float] = {}
        for sentence, weight, candidates in found:
            topic = about or _is_about_crypto(sentence, candidates)
            for one in candidates:
                if asset := self._asset(one.form, at):
                    backed = topic or asset in hinted or _has_peer(one, candidates)
                    known = len(written[asset]) > 1
                    sure = weight * _confidence(sentence, one, candidates, topic=backed, known=known)
                    key = (asset, one.form.kind)
                    best[key] = max(sure, best.get(key, 0.0))
        mentions = [Mention(asset, kind, round(sure, 4)) for (asset, kind), sure in best.items() if sure]
        return tuple(sorted(mentions, key=lambda mention: (-mention.confidence, mention.asset)))

    def _candidates(self, sentence: Sentence) -> Iterator[Candidate]:
        place, words = 0, sentence.words
        while place < len(words):
            form = self._longest(sentence, place)
            if form is None:
                place += 1
                continue
            found = Candidate(form, place, place + len(form.words))
            if form.means and not context.hyphenated(sentence, found):
                yield found
            place = found.last

    def _longest(self, sentence: Sentence, place: int) -> Form | None:
        words = sentence.words
        for form in self._forms.get(words[place].lower, ()):
            last = place + len(form.words)
            if len(form.words) > 1 and not self._follow(sentence, place, form):
                continue
            whole = sentence.text[words[place].start : words[last - 1].end]
            cashtag = form.is_ticker and sentence.gap(place).endswith("$")
            if cashtag or form.fits(words[place].text, whole):
                return form
        return None

    @staticmethod
    def _follow(sentence: Sentence, place: int, form: Form) -> bool:
        """Whether the form's other words follow; those that hide names may stand apart."""
        last = place + len(form.words)
        if tuple(word.lower for word in sentence.words[place:last]) != form.words:
            return False
        return not form.means or all(sentence.gap(n) in GAPS for n in range(place + 1, last))

    def _asset(self, form: Form, at: datetime | None) -> str:
        """The asset's id or the stock's ticker; empty when nobody can say."""
        if form.kind != "coin":
            return form.means
        return self._now[form.means] if at is None else self._coin(form.means, at)

    def _coin(self, name: str, at: datetime | None) -> str:
        if not name:
            return ""
        try:
            return self._registry.resolve(name, at).id
        except AmbiguousSymbol:
            return ""

    def _hint(self, hint: str, at: datetime | None) -> str:
        """The asset that a hint names: by ticker or one-word name, else it is an id."""
        same = self._forms.get(hint.lower().lstrip("$#"), ())
        form = next((form for form in same if form.means and len(form.words) == 1), None)
        return self._asset(form, at) if form else hint.lower()


def _is_about_crypto(sentence: Sentence, candidates: list[Candidate]) -> bool:
    sure = any(one.form.kind == "coin" and one.form.need is Need.NOTHING for one in candidates)
    return sure or sentence.has_topic()


def _has_peer(found: Candidate, candidates: list[Candidate]) -> bool:
    """Whether another coin, doubtful in itself but no common word, stands in the sentence."""
    return any(
        one.form.kind == "coin" and one.form.need is Need.TOPIC and one.form.means != found.form.means
        for one in candidates
    )


def _confidence(
    sentence: Sentence, found: Candidate, candidates: list[Candidate], *, topic: bool, known: bool
) -> float:
    """0 where the evidence does not reach. `known`: the text writes the asset in another way too."""
    form = found.form
    if form.unless and any(word.lower in form.unless for word in sentence.words):
        return 0.0
    if context.tagged(sentence, found):
        return TAGGED
    if form.need is Need.NOTHING:
        return SURE
    if known or (context.in_brackets(sentence, found) and (topic or form.kind == "stock")):
        return BESIDE
    if form.need is Need.TAG:
        return 0.0
    if form.kind == "stock":
        if context.speaks_of_company(sentence, found, topic=topic):
            return BESIDE
        return TOPICAL if form.need is Need.TOPIC and topic else 0.0
    coins = [one for one in candidates if one.form.kind == "coin"]
    if topic and context.listed(sentence, found, coins):
        return BESIDE
    if context.speaks_of_market(sentence, found) and (form.need is Need.MARKET or _is_topical_ticker(form)):
        return BESIDE
    if form.need is Need.MARKET:
        return 0.0
    # A ticker has other owners: outside of crypto only the price speaks for it, as above.
    enough = topic or (form.need is Need.TOPIC and not form.is_ticker)
    if enough and context.speaks_of_coin(sentence, found):
        return BESIDE
    return TOPICAL if form.need is Need.TOPIC and topic and not sentence.shouts else 0.0


def _is_topical_ticker(form: Form) -> bool:
    return form.need is Need.TOPIC and form.is_ticker
