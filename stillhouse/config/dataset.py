"""Sections of the dataset: tasks, one section a kind, and splits."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator

from stillhouse.config.base import AssetName, FieldError, Fraction, Section, Slug
from stillhouse.errors import UserError

Encoding = Literal["labels", "top_k", "sampled", "hidden"]
Role = Literal["answer", "question", "passage", "group"]


class Column(Section):
    """A column of records that tasks read. Where it holds JSON, `keys` are those of objects that
    count; without any it is text."""

    name: str
    role: Role
    keys: tuple[str, ...] = ()


class Task(Section):
    """One thing the student learns: what tasks of every kind are told.

    `unlabelled` says what becomes of texts without a gold answer: the teacher answers them, and
    what it answers with at least `min_confidence` is learned as well; or they are left out.
    """

    name: AssetName
    kind: str
    sources: list[Slug] = Field(min_length=1)
    instruction: str
    unlabelled: Literal["ignore", "teacher"] = "ignore"
    min_confidence: Fraction = 0.5
    passage_words: Annotated[int, Field(ge=20)] = 60
    max_passages: Annotated[int, Field(ge=1)] = 4

    # Which of a kind's settings name columns of records.
    COLUMN_SETTINGS: ClassVar[tuple[str, ...]] = ()
    # How soft labels of a kind's answers can be kept, the default first.
    ENCODINGS: ClassVar[tuple[Encoding, ...]] = ("sampled", "top_k", "hidden")
    # How a student learns its answers where the project file doesn't say: see `Distillation`.
    ALPHA: ClassVar[float] = 0.0
    ALIGNMENT: ClassVar[float] = 1.0
    # Which say in words what answers mean, to models that have not learned the task.
    GUIDE_SETTINGS: ClassVar[tuple[str, ...]] = ()
    # Mappings whose order is that of what is learned.
    ORDERED_SETTINGS: ClassVar[tuple[str, ...]] = ()

    @field_validator("name")
    @classmethod
    def _is_no_field_of_the_evaluation(cls, name: str) -> str:
        if name in ("parameters", "bytes"):
            raise ValueError(f"{name!r} is a field of evaluation.json; give the task another name")
        return name

    @property
    def named_columns(self) -> list[tuple[str, str]]:
        """The settings that name columns of records, each with a column."""
        found: list[tuple[str, str]] = []
        for setting in self.COLUMN_SETTINGS:
            named = getattr(self, setting)
            found += [(setting, c) for c in ([named] if isinstance(named, str) else named or [])]
        return found

    @property
    def columns(self) -> list[str]:
        """Columns of records that this task reads, beside those that a source maps."""
        return [column for _, column in self.named_columns]

    @property
    def keys(self) -> list[str]:
        """Where those columns hold JSON, the keys of objects that this task reads."""
        return []

    @property
    def roles(self) -> dict[str, Role]:
        """Which of those columns hold no answers, and what instead."""
        return {}


class ClassificationTask(Task):
    """Its classes are the labels found in its sources; `classes` says in words what they are."""

    kind: Literal["classification"]
    instruction: str = "Name the category of this text."
    labels: list[str] | None = Field(None, description="only these labels; all when left out")
    classes: dict[str, str] = Field({}, description="class: what it holds, for prompted teachers")
    min_examples: Annotated[int, Field(ge=1)] = 8

    ENCODINGS: ClassVar[tuple[Encoding, ...]] = ("labels", "sampled", "top_k", "hidden")
    ALPHA: ClassVar[float] = 0.7
    ALIGNMENT: ClassVar[float] = 0.0
    GUIDE_SETTINGS: ClassVar[tuple[str, ...]] = ("classes",)


class AnswerField(Section):
    """A field of an extraction. `grounded` fields say what stands in the text, word for word or as
    one of its numbers; by default strings do, unless their `values` are given."""

    type: Literal["string", "integer", "number", "boolean"] = "string"
    optional: bool = False
    many: bool = Field(False, alias="list", description="a list of such values")
    values: list[str] | None = Field(None, min_length=1, description="the only ones there are")
    grounded: bool | None = None
    description: str = ""

    @model_validator(mode="after")
    def _fits_together(self) -> AnswerField:
        if self.values is not None and self.type != "string":
            raise ValueError("`values` are strings: leave `type` out, or remove the values")
        if self.grounded and (self.type == "boolean" or self.values is not None):
            raise ValueError("only free strings and numbers can be `grounded: true`; remove it")
        return self

    @property
    def is_grounded(self) -> bool:
        free = self.type == "string" and self.values is None
        return free if self.grounded is None else self.grounded


class GenerativeTask(Task):
    """A task whose answers are written out, token by token."""

    answers: str | list[str] | None = None
    max_answer_tokens: Annotated[int, Field(ge=4)] = 128

    COLUMN_SETTINGS: ClassVar[tuple[str, ...]] = ("answers",)


class WritableTask(GenerativeTask):
    """`written`: so many more pairs that the teacher writes itself, from passages without one.
    `answers` names the one column that holds them."""

    answers: str | None = None
    written: Annotated[int, Field(ge=0)] = 0


class ExtractionTask(GenerativeTask):
    """`answers` names the column with a JSON object; several columns are joined into one; left
    out, each field is a column of its own."""

    kind: Literal["extraction"]
    instruction: str = "Extract the fields as JSON."
    fields: dict[str, AnswerField] = Field(min_length=1)

    GUIDE_SETTINGS: ClassVar[tuple[str, ...]] = ("fields",)
    ORDERED_SETTINGS: ClassVar[tuple[str, ...]] = ("fields",)

    @field_validator("fields", mode="before")
    @classmethod
    def _short_form(cls, fields: Any) -> Any:
        """`quantity: integer` for `quantity: {type: integer}`."""
        if not isinstance(fields, dict):
            return fields
        return {n: {"type": f} if isinstance(f, str) else f for n, f in fields.items()}

    @property
    def columns(self) -> list[str]:
        return super().columns or list(self.fields)

    @property
    def keys(self) -> list[str]:
        return list(self.fields)


class Retrieval(Section):
    """Questions are put to the `passages` that BM25 finds best for them, the one with the answer
    always among them, in an order that says nothing."""

    passages: Annotated[int, Field(ge=2)] = 3


class QuestionAnsweringTask(WritableTask):
    """`question` and `passage` name columns of records; left out, the passage is the record's text.

    Documents give questions too: those of FAQ pages, headings, and tables of key and value.
    """

    kind: Literal["question_answering"]
    instruction: str = (
        'Answer the question from the passage. If it does not say, write "no answer".'
    )
    question: str | None = None
    passage: str | None = None
    no_answer: str = Field("no answer", min_length=1, description="what gold and models write then")
    questions_from: list[Literal["faq", "headings", "tables"]] = ["faq", "headings", "tables"]
    grounded: bool = Field(False, description="answers are pieces of the passage, word for word")
    passage_words: Annotated[int, Field(ge=20)] = 120
    retrieval: Retrieval | None = None

    COLUMN_SETTINGS: ClassVar[tuple[str, ...]] = ("answers", "question", "passage")

    @field_validator("no_answer")
    @classmethod
    def _says_something(cls, no_answer: str) -> str:
        """Without the white space around it, which no answer is compared with."""
        if not no_answer.strip():
            raise ValueError("white space says nothing; name what is written, such as `no answer`")
        return no_answer.strip()

    @property
    def roles(self) -> dict[str, Role]:
        named: dict[str | None, Role] = {self.question: "question", self.passage: "passage"}
        return {column: role for column, role in named.items() if column is not None}


class SummarizationTask(WritableTask):
    """Of documents: title or abstract from the body."""

    kind: Literal["summarization"]
    instruction: str = "Summarize this text in one sentence."
    passage_words: Annotated[int, Field(ge=20)] = 160


AnyTask = Annotated[
    ClassificationTask | ExtractionTask | QuestionAnsweringTask | SummarizationTask,
    Field(discriminator="kind"),
]


def task_of(settings: Any, now: Task | None = None) -> Task:
    """A task from what `settings_of` gave of it when a student was released; `now` is the task of
    that name as it is now, where there is one.

    An answer has its fields in the order in which they were learned. Manifests of earlier releases
    sorted all names, of settings and of fields: such fields stand in the order of `now`, where that
    has the same. Raises `UserError` where there are settings that this release does not know.
    """
    try:
        found: Task = TypeAdapter(AnyTask).validate_python(settings)
    except ValidationError:
        named = settings.get("name") if isinstance(settings, dict) else None
        raise UserError(
            f"task {named}: its settings of then are none of this version of Stillhouse",
            remedy="release the student again.",
        ) from None
    fields, known = (getattr(task, "fields", {}) for task in (found, now))
    if list(settings) == sorted(settings) and fields.keys() == known.keys():
        return found.model_copy(update={"fields": {name: fields[name] for name in known}})
    return found


class Review(Section):
    """How many pairs of each task a person is shown, about; at least two of each stratum."""

    pairs: Annotated[int, Field(ge=1)] = 100


class HeldOut(Section):
    """A file of texts that must never be trained on; `text` names the column that holds them."""

    path: Path
    text: str | list[str] = "text"


class Splits(Section):
    """`by` says what decides where new families of near-duplicates go: chance, or time, the newest
    to test. `group` names a column of records: those of one value stay together, however they are
    dealt. Dates cut in place of shares."""

    by: Literal["random", "time", "group"] = "random"
    validation: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.1
    test: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.2
    seed: int = 7
    group: str | None = None
    test_from: date | None = None
    validation_from: date | None = None
    held_out: HeldOut | None = None

    @field_validator("held_out", mode="before")
    @classmethod
    def _short_form(cls, named: Any) -> Any:
        """`held_out: file.jsonl` for `held_out: {path: file.jsonl}`."""
        return {"path": named} if isinstance(named, str) else named

    @model_validator(mode="after")
    def _fits_together(self) -> Splits:
        if self.by == "group" and self.group is None:
            raise FieldError(("by",), "group needs `group`, the column whose values stay together")
        for name in ("test_from", "validation_from"):
            if getattr(self, name) is not None and self.by != "time":
                raise FieldError((name,), "a date cuts only what is dealt `by: time`; remove it")
        if self.validation_from is not None:
            if self.test_from is None:
                raise FieldError(("validation_from",), "give `test_from` as well, or remove it")
            if self.validation_from >= self.test_from:
                raise FieldError(("validation_from",), "give a date before `test_from`")
        return self
