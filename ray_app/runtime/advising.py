"""One question to a language model about some texts, and which model its answer is from."""

import json
from collections.abc import Sequence
from urllib.parse import urlsplit

from ray_app.model.chat import Asks
from ray_app.model.errors import NotOffered
from ray_app.observe.log import logger
from ray_app.process.sentiment.advanced import (
    FOR_A_TEXT,
    MOST,
    BadAnswer,
    Rating,
    digest,
    identity,
    question,
    ratings,
)
from ray_app.process.sentiment.readable import cleaned, unreadable
from ray_app.process.sentiment.scores import Reason
from ray_app.runtime.opening import Advanced
from ray_app.store.scored import Scorer

log = logger("advising")
TRIES = 2  # of one text whose answer cannot be used


class Advising:
    """Asks one model. `answered`: how many requests were."""

    def __init__(self, advanced: Advanced, chat: Asks) -> None:
        self._advanced, self._chat = advanced, chat
        self._server = urlsplit(advanced.assigned.plan.base_url).netloc
        self.family = self._identity(advanced.model)["family"]
        self.last = self._scorer(advanced.model)  # who answered last; before that, as it is asked for
        self.answered = 0

    async def ask(self, texts: Sequence[str]) -> Sequence[Rating] | Reason:
        """What the model says of each, or why its answer cannot be used: with several texts, of nobody knows which.

        Raises what Asks raises, but for NotOffered.
        """
        read = [cleaned(text)[:MOST] for text in texts]
        most = self._advanced.most + FOR_A_TEXT * (len(read) - 1)
        for _ in range(TRIES if len(read) == 1 else 1):
            asked = question(read)
            try:
                told = await self._chat.ask(asked.body(self._advanced.model, most), most)
            except NotOffered:
                return "too_long"
            self.answered += 1
            self.last = self._scorer(told.model)
            if told.refused:
                return "refused"
            try:
                if told.whole and told.content is not None:
                    return ratings(told.content, asked)
                kind = "cut short"
            except BadAnswer as error:
                kind = str(error)
            log.info("an answer that cannot be used", extra={"texts": len(read), "kind": kind})
        return "bad_answer"

    def _scorer(self, model: str) -> Scorer:
        told = self._identity(model)
        return Scorer(model, digest(told), json.dumps(told, sort_keys=True))

    def _identity(self, model: str) -> dict[str, str]:
        return identity(model, self._advanced.model, self._server, self._advanced.together)


def nothing_to_read(said: str) -> Reason | None:
    """Why a text is not asked about. Other languages than English are no reason: the model reads them."""
    reason = unreadable(cleaned(said))
    return reason if reason in ("empty", "no_words") else None
