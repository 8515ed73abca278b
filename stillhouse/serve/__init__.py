"""Answering over HTTP: released students behind OpenAI's API, several requests at once.

What a request asks for and what an answer looks like, who may ask and how much, the thread that
owns the models, and how a new release takes the place of the old. Not here: what a task's answer is
(tasks/), how a model writes (lm/), what a release is (release/).
"""
