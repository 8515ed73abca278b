"""What a student is for, what it is not for, and what nobody knows of it: said alike in the report
and on the model card."""

from __future__ import annotations

INTENDED = (
    "It answers the tasks below, for texts of the kind that it learned from, in the house that "
    "made it. A person, or the teacher, decides where it is not sure.",
    "It expects texts whose personal data was masked as it was when it learned.",
)
NOT_INTENDED = (
    "Other tasks, conversation, and texts of other sources or languages: its answers there, and "
    "how sure it is, mean little.",
    "Decisions about people that nobody looks at.",
)
LIMITS = (
    "It was measured on held-out texts of the same sources and time as those it learned from. What "
    "the texts of tomorrow are like, nobody measured; drift is watched, not prevented.",
    "It repeats its teacher's mistakes, and those of the people who labelled.",
    "What was not measured is not known to be good.",
)
