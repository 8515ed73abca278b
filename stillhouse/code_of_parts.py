"""Which code shapes which results: what `steps.py` puts into each recipe beside the settings."""

from __future__ import annotations

# Libraries whose upgrade makes other documents of the same files, or masks other things.
PARSING_LIBRARIES = (
    *("unstructured", "pdfminer.six", "pypdf", "beautifulsoup4", "lxml", "Markdown"),
    *("python-docx", "python-pptx", "openpyxl", "python-oxmsg", "olefile", "xlrd"),
    *("pypdfium2", "rapidocr", "pillow", "pi_heif", "docutils"),
)
CLEANSING_LIBRARIES = ("ftfy", "py3langid")
MASKING_LIBRARIES = ("presidio-analyzer", "spacy", "phonenumbers", "onnxruntime", "tokenizers")

# The parts of the code that shape results: the version of each, and where it lies below
# stillhouse/. Raise a version when a change makes other results of the same inputs: what was made
# by that part is then stale. A test remembers the code of each part and asks when it changes.
_REVIEWED = ("dataset/review/applied.py",)
_READING = ("assigned", "clock", "judged", "logs", "outcomes", "reading", "requests", "traffic")
_COMPARING = ("answers", "chance", "compared", "domain", "drift", "texts")
_COMPARED = ("corpus/comparing.py", "corpus/pii/invented.py")
CODE: dict[str, tuple[int, tuple[str, ...]]] = {
    "sources": (2, ("corpus/sources.py",)),
    "parsing": (
        7,
        (
            *("corpus/parsed.py", "corpus/parse", "corpus/clean", "corpus/nlp.py"),
            "corpus/missing_columns.py",
        ),
    ),
    "cleansing": (1, ("corpus/cleansed.py", "corpus/cleanse")),
    "masking": (6, ("corpus/masked.py", "corpus/pii")),
    "confidentiality": (
        1,
        ("corpus/document_confidentiality.py", "corpus/confidentiality"),
    ),
    "measuring": (1, ("corpus/pii_quality.py", "corpus/pii_gold.py", "metrics/spans.py")),
    "deduplication": (
        4,
        ("corpus/unique.py", "corpus/unique_inputs.py", "corpus/dedup", *_COMPARED),
    ),
    "risk": (1, ("corpus/reidentification_risk.py", "corpus/risk")),
    "tasks": (4, ("tasks", "dataset/pairs.py")),
    "splits": (
        4,
        ("dataset/splits.py", "dataset/dealing", *_REVIEWED, *_COMPARED),
    ),
    "review": (4, ("dataset/review", "metrics/agreement.py")),
    "importing": (
        2,
        (
            *("models/importing.py", "models/vetting.py", "models/gguf.py"),
            "models/endpoints.py",
        ),
    ),
    "prompts": (3, ("lm", "endpoint")),
    "adaptation": (4, ("teacher/adaptation.py", "teacher/unadapted.py", "teacher/trunk.py")),
    "answers": (1, ("teacher/answers.py", "teacher/reviewed.py")),
    "labelling": (
        3,
        ("teacher/labelling.py", "teacher/in_words.py", "teacher/told.py", "soft_labels"),
    ),
    "initialisation": (
        1,
        ("student/initialise.py", "student/vocabulary.py", "student/base.py"),
    ),
    "distillation": (
        4,
        ("student/distil.py", "student/alignment.py", "student/canaries.py"),
    ),
    "training": (3, ("training",)),
    "quantization": (1, ("quantize",)),
    "evaluation": (7, ("evaluate", "metrics")),
    "report": (7, ("report",)),
    "load": (1, ("load",)),
    "auditing": (4, ("audit", "student/canaries.py")),
    "release": (3, ("release",)),
    "history": (2, ("history",)),
    "economics": (2, ("economics",)),
    "selection": (1, ("selection/candidates.py", "selection/languages.py", "selection/rows.py")),
    "traffic": (2, tuple(f"monitor/{name}.py" for name in _READING)),
    "drift": (1, tuple(f"monitor/{name}.py" for name in _COMPARING)),
    "ab_test": (2, ("monitor/ab",)),
}


def code_version(part: str) -> int:
    """The version of a part of the code: what is kept by content, row by row or answer by answer,
    is made again under another one."""
    return CODE[part][0]
