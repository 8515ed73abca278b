"""Running a causal LM: prompts, batches, hidden states, scores.

Not here: what is asked (tasks/) and how it learns (training/).
"""
