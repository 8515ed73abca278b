"""Many questions to a server at once; what it answered is kept, and asked no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from stillhouse.endpoint.client import Access, Client
from stillhouse.endpoint.kept import Kept
from stillhouse.endpoint.served import Served, other_model, require_same
from stillhouse.lm.prompts import Encoder
from stillhouse.progress import track
from stillhouse.storage.files import digest
from stillhouse.wording import plain


@dataclass(frozen=True)
class Question:
    """What is asked of the server about a pair, and how the answer is read (as a JSON value)."""

    pair: str
    path: str
    body: dict[str, Any]
    read: Callable[[Mapping[str, Any]], Any]


class Asking:
    """The server that `served` describes. Before the first question it has to be the one that it
    was, and every answer has to come from the same model.

    `encoder` is that of its tokenizer.
    """

    def __init__(self, served: Served, access: Access, encoder: Encoder) -> None:
        self.served, self.access, self._encoder = served, access, encoder
        self.where = urlsplit(served.url).netloc
        self._kept = Kept(access.cache, digest(served.identity))

    def answers(self, questions: Sequence[Question], description: str) -> list[Any]:
        """Answers as they are read, in order; each is kept as soon as it is there.

        Raises `UserError` for the first that the server owes; what was answered till then is kept.
        """
        names = [digest(q.path, q.body) for q in questions]
        found = {name: self._kept.get(name) for name in dict.fromkeys(names)}
        todo = {n: q for n, q in zip(names, questions, strict=True) if found[n] is None}
        if todo:
            client = self._client  # before threads would each make one
            pool = ThreadPoolExecutor(self.access.settings.concurrency, "endpoint")
            running = {pool.submit(self._ask, client, n, q): n for n, q in todo.items()}
            try:
                done = track(as_completed(running), description, total=len(running))
                for one in done:
                    found[running[one]] = one.result()
            except BaseException:
                client.close()  # whoever waits for it, waits no more
                del self._client  # a new one looks at the server again
                raise
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        return [found[name] for name in names]

    @cached_property
    def _client(self) -> Client:
        client = Client(self.served.url, self.access)
        require_same(client, self.served, self._encoder)
        return client

    def _ask(self, client: Client, name: str, question: Question) -> Any:
        answer = client.post(question.path, question.body)
        says = answer.get("model")
        if says != self.served.says:
            changed = f"{plain(str(says)[:80])} answers, not {plain(self.served.says)}"
            raise other_model(client.where, changed)
        read = question.read(answer)
        self._kept.put(question.pair, name, read)
        return read
