"""What a model takes of memory, term by term: labelling, training, serving.

Every term is a formula whose numbers are put in, and says where it is from. Those on a processor
are held against the real peak by a test, and so are those of a GPU where there is one; those of
QLoRA and of other servers are formulas alone, and say so. Sources:

- weights, gradients and AdamW's two moments in float32, 16 bytes a weight: Rajbhandari et al.,
  "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", 2020, section 3;
- what a layer keeps for its backward pass: counted in a Llama layer of transformers, in the manner
  of Korthikanti et al., "Reducing Activation Recomputation in Large Transformer Models", 2023;
- adapters: Hu et al., "LoRA", 2021; 4 bits: Dettmers et al., "QLoRA", 2023, section 3;
- keys and values: 2 x layers x width, Pope et al., "Efficiently Scaling Transformer Inference",
  2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from stillhouse.selection.shape import Shape
from stillhouse.soft_labels.head import CHUNK_ELEMENTS as LABELLED_AT_ONCE
from stillhouse.wording import human_count

FLOAT = 4

# Of the loss: see training/fused_loss.py, which needs torch at import.
LOGITS_AT_ONCE, LOGITS_CACHED = 1 << 24, 1 << 21

# glibc takes blocks below 32 MiB from a heap that it seldom gives back, and what comes and goes
# there leaves gaps (malloc(3), M_MMAP_THRESHOLD): of a step's tensors half as much again is held.
# Measured: with every block mapped alone, peaks are those of the other terms.
HEAP_BLOCK, HEAP_GAPS = 32 << 20, 0.5

NF4_BITS = 4.127  # a weight, with the constants of its block quantized too (QLoRA, section 3)
MEASURED, FORMULA = "measured here", "formula"

Purpose = Literal[
    "labelling", "training, LoRA", "training, QLoRA", "training, full",
    "serving, fp16", "serving, int8", "serving, int4",
]  # fmt: skip

Bits = Literal[16, 8, 4]
SERVING: dict[Bits, Purpose] = {16: "serving, fp16", 8: "serving, int8", 4: "serving, int4"}


@dataclass(frozen=True)
class Term:
    """A part of what is held: `formula` with its numbers, `size` in bytes. Pages of files that are
    only `mapped` are given back when memory is short: they need not fit."""

    name: str
    formula: str
    size: int
    mapped: bool = False


@dataclass(frozen=True)
class Need:
    """What something takes at each of its `moments`; `what` it is of. `house` is False for what
    this house doesn't do itself."""

    purpose: Purpose
    what: str
    moments: tuple[Sequence[Term], ...]
    grounds: str
    house: bool = True

    @property
    def terms(self) -> Sequence[Term]:
        """Those of the moment at which most has to fit."""
        return max(self.moments, key=_unmapped)

    @property
    def size(self) -> int:
        """Bytes that have to fit."""
        return _unmapped(self.terms)

    @property
    def resident(self) -> int:
        """Bytes of the highest peak, mapped files included."""
        return max(sum(term.size for term in terms) for terms in self.moments)


def _unmapped(terms: Sequence[Term]) -> int:
    return sum(term.size for term in terms if not term.mapped)


@dataclass(frozen=True)
class Load:
    """Work in memory at once: `rows` of tokens in a batch, `answers` of them that predict a token
    of an answer; `compute` bytes of the type that the machine computes in, on a GPU or not. A step
    of training has so many batches (`accumulation`)."""

    rows: int
    answers: int
    compute: int = FLOAT
    gpu: bool = False
    accumulation: int = 1

    @property
    def grounds(self) -> str:
        return MEASURED if not self.gpu and self.compute == FLOAT else FORMULA


def _times(*factors: object) -> str:
    return " x ".join(f"{f:,}" if isinstance(f, int) else str(f) for f in factors)


def _weights(shape: Shape, each: int, name: str = "weights") -> Term:
    total = shape.parameters
    return Term(name, f"{human_count(total)} x {each} B", total * each)


def _read(shape: Shape, load: Load) -> list[Term]:
    """While weights become another type, the pages of their file are there too."""
    if shape.stored == load.compute or load.gpu:
        return []
    size = shape.parameters * shape.stored
    text = f"{human_count(shape.parameters)} x {shape.stored} B, mapped"
    return [Term("weights' file, while it is read", text, size, mapped=True)]


def _passing(shape: Shape, load: Load, *, adapted: bool = False) -> Term:
    """What a layer's forward pass holds at its widest: three of its inner width (gate, up, their
    product), and five of its width (residuals, norms, attention). Where LoRA's product is added to
    that of the weights, it and the sum are there too."""
    inner = 5 if adapted else 3
    widths = inner * shape.inner + 5 * shape.hidden
    widest = f"({inner} x {shape.inner:,} + 5 x {shape.hidden:,})"
    text = _times(load.rows, widest, f"{load.compute} B")
    return Term("a layer's pass", text, load.rows * widths * load.compute)


def _kept(shape: Shape, layers: int, load: Load, *, frozen: bool) -> Term:
    """What backward needs of `layers`: inputs of norms, linear modules and the feed-forward part,
    and queries, keys, values and output of attention. Of frozen weights no input is kept for their
    gradients, but LoRA's matrices need theirs. Of the last layer, only rows that predict an answer
    go through more than its keys and values. Norms are worked out in float32, whatever the rest is,
    and keep what they are given in it."""
    residual = 4 if frozen else 6
    one = residual * shape.hidden + 3 * shape.queries + 2 * shape.keys + 4 * shape.inner
    last = 3 * shape.hidden + shape.queries + 2 * shape.keys
    wider, more = FLOAT - load.compute, FLOAT + (0 if frozen else load.compute)
    own = (shape.queries + shape.keys) * more if shape.normed else 0
    bytes_a_row = one * load.compute + 2 * shape.hidden * wider + own
    bytes_of_last = last * load.compute + shape.hidden * wider + (own and shape.keys * more)
    whole, few = load.rows * (layers - 1), load.answers
    size = whole * bytes_a_row + load.rows * bytes_of_last + few * bytes_a_row
    widths = (
        f"(({residual} x {shape.hidden:,} + 3 x {shape.queries:,} + 2 x {shape.keys:,} "
        f"+ 4 x {shape.inner:,}) x {load.compute} B"
    )
    widths += f" + 2 x {shape.hidden:,} x {wider} B of norms" if wider else ""
    widths += f" + ({shape.queries:,} + {shape.keys:,}) x {more} B" if own else ""
    text = f"{_times(load.rows, f'{layers - 1} layers', widths)}) + the last's"
    return Term("activations kept for backward", text, size)


def _logits(rows: int, vocabulary: int, at_once: int, cached: int = 0) -> Term:
    held = min(rows, max(1, at_once // vocabulary))
    spare = min(held, max(1, cached // vocabulary)) if cached else 0
    text = _times(held + spare, vocabulary, "4 B")
    return Term("logits at once", text, (held + spare) * vocabulary * FLOAT)


def _learned_logits(shape: Shape, load: Load) -> Term:
    """Of the loss: a chunk, and as much again in passing; in 16 bits a copy of it."""
    if not load.gpu:
        return _logits(load.answers, shape.vocabulary, LOGITS_AT_ONCE, LOGITS_CACHED)
    found = _logits(load.answers, shape.vocabulary, LOGITS_AT_ONCE, LOGITS_AT_ONCE)
    more = found.size // (2 * FLOAT) * load.compute if load.compute != FLOAT else 0
    return replace(found, formula=f"{found.formula}, and a copy", size=found.size + more)


def _gaps(load: Load, *terms: tuple[Term, int]) -> list[Term]:
    """Terms that come and go with a step, each with the size of its largest block."""
    small = [term for term, block in terms if block < HEAP_BLOCK]
    size = int(HEAP_GAPS * sum(term.size for term in small))
    if load.gpu or not size:
        return []
    names = " + ".join(term.name for term in small)
    return [Term("gaps in the heap", f"{HEAP_GAPS} x ({names}), blocks below 32 MiB", size)]


def _block(shape: Shape, load: Load) -> int:
    return load.rows * max(shape.inner, shape.hidden) * load.compute


def labelling(shape: Shape, load: Load, *, classes: bool = False) -> Need:
    """A teacher that labels a batch; `classes` where answers are so few that no logits of the
    whole vocabulary are made."""
    weights, passing = _weights(shape, load.compute), _passing(shape, load)
    work = [weights, passing, *_gaps(load, (passing, _block(shape, load)))]
    if not classes:
        work.append(_logits(load.answers, shape.vocabulary, LABELLED_AT_ONCE))
    moments = ([weights, *_read(shape, load)], work)
    return Need("labelling", "the teacher", moments, load.grounds)


def full_training(
    shape: Shape,
    load: Load,
    *,
    aligned: bool = False,
    teacher: Shape | None = None,
    stays: bool = False,
    head: Shape | None = None,
) -> Need:
    """A student whose every weight is trained; `aligned` where its hidden states are drawn to those
    of its `teacher`, which runs before the student does, or beside it where it `stays`; `head` is
    of what labels are made again with that were kept as hidden states. At the
    beginning of backward all activations are there, at its end all gradients; with several batches
    a step, those of the batches before are there from the beginning."""
    n = shape.parameters
    text = f"{human_count(n)} x 8 B"
    held = [_weights(shape, FLOAT), Term("AdamW's two moments", text, 8 * n)]
    if load.compute != FLOAT:
        held.append(_weights(shape, load.compute, "rounded copies"))
    kept, passing = _kept(shape, shape.layers, load, frozen=False), _passing(shape, load)
    # In float32, and a copy in what the model computes in.
    each = FLOAT + (load.compute if load.compute != FLOAT else 0)
    output = Term(
        "gradient of the output embedding",
        _times(shape.vocabulary, shape.hidden, f"{each} B"),
        shape.embedding * each,
    )
    logits = _learned_logits(shape, load)
    block = _block(shape, load)
    drawn = []
    if aligned:
        text = _times(load.rows, f"{shape.layers} layers", shape.hidden, "10 B")
        size = load.rows * shape.layers * shape.hidden * (2 + 2 * FLOAT)
        drawn = [Term("hidden states to be drawn to, and what they differ by", text, size)]
    gradients = Term("gradients", f"{human_count(n)} x 4 B", FLOAT * n)
    again = Term(
        "gradient of the input embedding",
        _times(shape.vocabulary, shape.hidden, "4 B"),
        shape.embedding * FLOAT if shape.tied else 0,
    )
    of_layers = Term("layers' gradients", "", FLOAT * (n - shape.embeddings))
    widest = shape.hidden * max(shape.inner, shape.queries) * FLOAT
    gaps = _gaps(load, (kept, block), (passing, block), (of_layers, widest))
    beside = [] if teacher is None else [_weights(teacher, load.compute, "the teacher's weights")]
    before = [*beside, _passing(teacher, load)] if teacher else []
    held += beside if stays else []
    if head is not None:
        text = _times(head.vocabulary, head.hidden, "4 B")
        held.append(Term("the teacher's output embedding", text, head.embedding * FLOAT))
    earlier = [gradients] if load.accumulation > 1 else []
    begins = [*held, *earlier, kept, *drawn, output, passing, logits, *gaps]
    ends = [*held, gradients, again, *gaps]
    return Need("training, full", "the student", (begins, ends, before), load.grounds)


def adapter_training(
    shape: Shape, load: Load, *, rank: int, layers: int, cached: int = 0, quantized: bool = False
) -> Need:
    """A teacher that learns through LoRA's matrices on its top `layers`; `cached` bytes of hidden
    states that enter them are read from files. `quantized` is QLoRA, which this house hasn't."""
    n, each = shape.adapters(rank, layers), load.compute
    if quantized:
        linear = shape.layers * shape.layer
        size = int(linear * NF4_BITS / 8) + shape.embeddings * each
        text = (
            f"{human_count(linear)} x {NF4_BITS} bits + {human_count(shape.embeddings)} x {each} B"
        )
        weights = Term("weights at 4 bits, embeddings not", text, size)
    else:
        weights = _weights(shape, each)
    masters = Term("adapters, gradients, moments", f"{human_count(n)} x 16 B", 16 * n)
    kept = _kept(shape, layers, load, frozen=True)
    passing = _passing(shape, load, adapted=True)
    logits = _learned_logits(shape, load)
    block = _block(shape, load)
    work = [weights, masters, kept, passing, logits, *_gaps(load, (kept, block), (passing, block))]
    if cached:
        work.append(Term("hidden cache", "its files, mapped", cached, mapped=True))
    if quantized:
        return Need("training, QLoRA", "the teacher", (work,), FORMULA, house=False)
    moments = ([weights, *_read(shape, load)], work)
    return Need("training, LoRA", "the teacher", moments, load.grounds)


def serving(
    shape: Shape, bits: Bits, load: Load, *, sequences: int, tokens: int,
    group: int | None = 64,
) -> Need:  # fmt: skip
    """A student that answers `sequences` at once, each of `tokens` with its answer.

    Weights of any file become numbers of the machine's own type; a server with kernels for packed
    integers on a GPU would leave them packed, which ours hasn't.
    """
    linear = shape.layers * shape.layer
    purpose = SERVING[bits]
    # A group's scale of 16 bits, and at 4 bits its zero point.
    extra = (16 + (4 if bits == 4 else 0)) / (group or shape.hidden)
    packed = int(linear * (bits + extra) / 8) if bits < 16 else linear * 2
    size = packed + (shape.embeddings + shape.hidden) * 2
    text = f"{human_count(linear)} x {bits if bits == 16 else round(bits + extra, 2)} bits"
    text += f" + {human_count(shape.embeddings)} x 16 bits"
    file = Term("weights as they are stored", text, size)
    caches = 2 * shape.layers * shape.keys * load.compute
    held = Term(
        "keys and values",
        _times(2, f"{shape.layers} layers", shape.keys, f"{sequences} x {tokens:,} tokens")
        + f" x {load.compute} B",
        caches * sequences * tokens,
    )
    passing = _passing(shape, load)
    block = _block(shape, load)
    logits = Term(
        "logits", _times(sequences, shape.vocabulary, "4 B"), sequences * shape.vocabulary * FLOAT
    )
    work = [held, passing, logits, *_gaps(load, (passing, block))]
    if load.gpu:
        weights = _weights(shape, load.compute, "weights" if bits == 16 else "weights, unpacked")
        return Need(purpose, "the student", ([weights, *work],), load.grounds)
    if bits == 16 and shape.stored == load.compute:
        # Nothing is unpacked: weights stay in their file, which is mapped (mmap(2)), not copied.
        return Need(purpose, "the student", ([_weights(shape, load.compute), *work],), load.grounds)
    weights = _weights(shape, load.compute, "weights, unpacked")
    packed_too = [file] if bits < 16 else []
    moments = (
        [weights, Term("weights' file, while it is read", text + ", mapped", size, mapped=True)],
        [weights, *packed_too, *work],
    )
    # Libraries unpack integers each in their own way.
    grounds = load.grounds if bits == 16 else FORMULA
    return Need(purpose, "the student", moments, grounds)
