"""The page: that it is closed to the network and to what documents say, and that it works."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.dataset import ClassificationTask, ExtractionTask, SummarizationTask
from stillhouse.dataset.review.filled_in import Row, read_reviews
from stillhouse.dataset.review.page import render_page

PAYLOADS = [
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!--<script>",
    "=HYPERLINK(A1)",
    "line one\nline two\u202ered\x00 & more",
]
TASKS = [
    ClassificationTask(name="routing", kind="classification", sources=["s"]),
    ExtractionTask(
        name="order",
        kind="extraction",
        sources=["s"],
        fields={"item": "string", "count": {"type": "integer", "optional": True}},
    ),
    SummarizationTask(name="gist", kind="summarization", sources=["s"], instruction=PAYLOADS[0]),
]


def row(name: str, task: str, text: str, label: str | None, answer: str | None) -> dict[str, Any]:
    stratum = {"source": "s", "label": label, "confidentiality": "internal", "confidence": None}
    return {"pair_id": name, "task": task, "input": text, "answer": answer, **stratum}


SAMPLE = [
    row("a1", "routing", PAYLOADS[0], "billing", None),
    row("a2", "routing", PAYLOADS[4], PAYLOADS[1], None),
    row("b1", "order", PAYLOADS[2], None, '{"item":"pump","count":3}'),
    row("b2", "order", "Two valves.", None, '{"item":"valve"}'),
    row("c1", "gist", "It rained all day.", None, PAYLOADS[3]),
    row("c2", "gist", "It snowed.", None, "Snow."),
]


@pytest.fixture(scope="module")
def page() -> str:
    labels = {"routing": ["billing", "quality", PAYLOADS[1]]}
    return render_page(f"demo {PAYLOADS[1]}", "pair", SAMPLE, TASKS, labels, "var/review")


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] in ("script", "style"):
            self.scripts.append(data)


def test_the_page_loads_nothing_and_runs_its_own_script_alone(page: str) -> None:
    elements = Elements(page)
    (policy,) = [a["content"] for tag, a in elements.found if a.get("http-equiv")]
    directives = dict(d.strip().split(" ", 1) for d in str(policy).split(";"))
    assert directives.keys() == {
        *("default-src", "script-src", "style-src", "base-uri", "form-action")
    }
    assert directives["default-src"] == "'none'"
    tags = [tag for tag, _ in elements.found]
    assert tags.count("script") == 2 and tags.count("style") == 1 and "img" not in tags
    # In this order: the style, the data (no script to a browser), the script.
    style, _, script = [s for s in elements.scripts if s.strip()]
    for text, name in ((style, "style-src"), (script, "script-src")):
        found = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert directives[name] == f"'sha256-{found}'"
    for _, attributes in elements.found:
        assert not [n for n in attributes if n.startswith("on") or n in ("src", "href", "style")]
    assert not re.search(r"https?:|url\(|@import|innerHTML|eval\(", page)


def test_what_documents_say_stays_text(page: str) -> None:
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert data is not None
    found = json.loads(data[1])
    shown = {item["id"]: item for item in found["items"]}
    assert shown["pair-a1"]["input"] == PAYLOADS[0]
    assert shown["pair-a2"]["input"] == "line one\nline two red  & more"
    assert shown["pair-b1"]["answer"] == '{\n  "item": "pump",\n  "count": 3\n}'
    assert found["tasks"]["routing"]["classes"] == ["billing", "quality", PAYLOADS[1]]
    assert not any(payload in page for payload in PAYLOADS[:3])


def test_another_sample_is_kept_under_another_key(page: str) -> None:
    def key(text: str) -> str:
        return str(re.search(r'"key": "(\w+)"', text)[1])  # type: ignore[index]

    again = render_page("demo", "pair", SAMPLE, TASKS, {}, "elsewhere")
    assert key(page) == key(again)
    assert key(render_page("demo", "pair", SAMPLE[1:], TASKS, {}, "x")) != key(page)


# What a person does at the keyboard; the end is what the page holds then, and the CSV it saves.
DRIVER = """
window.addEventListener("load", async () => {
  const $ = (id) => document.getElementById(id), seen = {};
  const press = (key, more = {}) => (document.activeElement || document.body).dispatchEvent(
    new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
  let saved = null;
  URL.createObjectURL = (blob) => { saved = blob; return "blob:none"; };
  HTMLAnchorElement.prototype.click = function () { seen.name = this.download; };
  window.addEventListener("error", (event) => { seen.error = event.message; });
  seen.first = [$("text").textContent, $("answer").textContent, $("place").textContent];
  press("a");
  seen.alerts = document.querySelectorAll("#card img, #card script").length;
  press("c"); $("edited").value = "quality"; press("Enter", { ctrlKey: true });
  press("c"); $("edited").value = '{"item": "pump", "count": "three"}';
  press("Enter", { ctrlKey: true }); seen.wrong = $("wrong").textContent;
  $("edited").value = '{"item": "pump", "count": 4}'; press("Enter", { ctrlKey: true });
  press("r"); press("k"); press("u"); press("r"); press("a");
  press("c"); $("edited").value = "-Snow, \\"wet\\"\\nand cold"; press("Enter", { ctrlKey: true });
  seen.words = $("progress-words").textContent;
  press("s"); seen.asked = $("note").textContent;
  $("reviewer").value = "Ann Lee"; document.activeElement.blur();
  press("k"); $("comment").value = "=1+1"; $("comment").dispatchEvent(new Event("input"));
  press("s");
  seen.csv = await saved.text();
  seen.kept = Object.keys(localStorage).length;
  const select = $("filter-task");
  select.value = "1"; select.dispatchEvent(new Event("change"));
  seen.filtered = $("place").textContent;
  for (const id of ["u", "j", "u"]) press(id);
  seen.undone = $("progress-words").textContent;
  const transfer = new DataTransfer();
  transfer.items.add(new File([seen.csv + '"Ann","pair-zz","accept","",""'], "r.csv"));
  $("open").files = transfer.files; $("open").dispatchEvent(new Event("change"));
  // Turns of the event loop: timers run ahead of a file that is being read.
  for (let turn = 0; turn < 200000 && !/ read/.test($("note").textContent); turn++) {
    await new Promise((done) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = done;
      port2.postMessage(0);
    });
  }
  seen.opened = [$("note").textContent, $("progress-words").textContent];
  $("reviewer").value = "Bob"; $("reviewer").dispatchEvent(new Event("change"));
  press("r");
  seen.second = [$("progress-words").textContent, $("note").textContent];
  $("reviewer").value = "Ann Lee"; $("reviewer").dispatchEvent(new Event("change"));
  seen.again = $("progress-words").textContent;
  document.title = JSON.stringify(seen);
});
"""


def browser() -> str:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("no Chromium on this machine to open the page in")
    return found


def test_a_person_reviews_with_the_keyboard_alone(page: str, tmp_path: Path) -> None:
    program = browser()
    ours = base64.b64encode(hashlib.sha256(DRIVER.encode()).digest()).decode()
    page = page.replace("script-src ", f"script-src 'sha256-{ours}' ", 1)
    (tmp_path / "page.html").write_text(
        page.replace("</body>", f"<script>{DRIVER}</script></body>")
    )
    done = subprocess.run(
        [
            *(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--disable-background-networking", "--disable-extensions"),
            f"--user-data-dir={tmp_path / 'profile'}",
            *("--virtual-time-budget=4000", "--dump-dom", f"file://{tmp_path / 'page.html'}"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.S)
    assert title is not None, done.stderr
    seen = json.loads(html.unescape(title[1]))
    assert "error" not in seen
    assert seen["first"] == [PAYLOADS[0], "billing", "1 of 6"]
    assert seen["alerts"] == 0
    assert seen["wrong"] == '"count" takes a value of type integer.'
    assert seen["words"] == "6 of 6 decided: 2 accepted, 1 rejected, 3 corrected"
    assert seen["asked"] == "Say who reviews: a name or initials."
    assert re.fullmatch(r"review-ann-lee-[0-9a-f]{8}\.csv", seen["name"])
    assert seen["kept"] == 1
    assert seen["filtered"].endswith("of 2")
    assert seen["undone"].startswith("4 of 6")
    assert seen["opened"][0].startswith("6 decisions read; 1 rows left out")
    assert seen["opened"][1] == seen["words"]
    # Who shares a browser with Ann judges on his own.
    assert seen["second"][0] == "1 of 6 decided: 0 accepted, 1 rejected, 0 corrected"
    assert seen["again"] == seen["words"]
    # What the page saves is what the next run reads.
    (tmp_path / "saved.csv").write_text(seen["csv"], newline="")
    rows, problems = read_reviews(tmp_path)
    assert not problems
    said = {row.pair_id: row for row in rows}
    assert all(isinstance(row, Row) and row.reviewer == "ann lee" for row in rows)
    assert {i: row.verdict for i, row in said.items()} == {
        "pair-a1": "accept",
        "pair-a2": "correct",
        "pair-b1": "correct",
        "pair-b2": "reject",
        "pair-c1": "accept",
        "pair-c2": "correct",
    }
    assert said["pair-c2"].correction == '-Snow, "wet"\nand cold'
    assert said["pair-b1"].correction == '{"item": "pump", "count": 4}'
    assert "\"'-Snow" in seen["csv"] and '"\'=1+1"' in seen["csv"]
