"""The language model by which unstructured tells titles from text, given to it within limits."""

from __future__ import annotations

from typing import Any

# Characters of a paragraph that tell text from titles: all of a long one costs seconds.
ENOUGH_TO_TELL = 1000
# Paragraphs of a file that are told apart so: its title is among the first. Each takes some five
# milliseconds, which of a file of megabytes makes minutes.
WORTH_TELLING = 500


class Tagger:
    """Tags and sentence ends by punctuation: all that unstructured asks, at half the cost.

    After `WORTH_TELLING` texts of a file it takes any other for one with a verb, a sentence.
    """

    max_length = ENOUGH_TO_TELL  # unstructured cuts a text there before it asks

    def __init__(self, nlp_model: str) -> None:
        import spacy

        from stillhouse.corpus.nlp import pipeline

        self.model = nlp_model
        self.left = WORTH_TELLING
        self.whole = pipeline(nlp_model, "tagger")
        self.rough = spacy.blank(self.whole.lang)
        for nlp in (self.whole, self.rough):
            if "sentencizer" not in nlp.pipe_names:
                nlp.add_pipe("sentencizer")

    def __call__(self, text: str) -> Any:
        self.left -= 1
        if self.left >= 0:
            return self.whole(text)
        doc = self.rough(text)
        for token in doc[:1]:
            token.tag_ = "VB"
        return doc


def hand_over(nlp_model: str) -> None:
    """Give unstructured our spaCy model for one file; by itself it installs one at run time.

    Raises:
        UserError: there is no such model.
    """
    from stillhouse.corpus.nlp import torch_hidden

    with torch_hidden():
        import unstructured.nlp.tokenize as tokenize

    tagger: Tagger | None = getattr(tokenize, "_stillhouse_tagger", None)
    if tagger is None or tagger.model != nlp_model:
        # Loaded here, since what fails inside partition_pdf is swallowed there.
        tagger = Tagger(nlp_model)
        tokenize._stillhouse_tagger = tagger
        tokenize._load_spacy_model = lambda: tagger
    tagger.left = WORTH_TELLING
    for cached in vars(tokenize).values():  # what it told last is not to depend on other files
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()
