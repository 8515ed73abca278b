"""Whether a student gives away what it learned from: what is tried, and what follows from it.

One module a way of trying: canaries (`exposure`), prefixes (`continuation`), `membership`, free
`generations`, `vocabulary` and `attacks`. `scores` is what a model says of a text, `control` the
student before it learned anything, `personal` what counts as personal data of the corpus, `bounds`
how far a figure may be off, `verdict` the rules, `audit` all of it in order, `page` and `shown`
what a person reads. Canaries are planted by `student/canaries.py`. How well a student answers is
`evaluate/`'s business, and how well texts are masked `corpus/pii_quality.py`'s.
"""
