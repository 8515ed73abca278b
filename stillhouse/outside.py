"""Inputs that no step makes: files, keys, marked texts, a teacher's source; `State` asks of them.

Each answers with a digest of content, or None where it can't be looked at now: what was recorded
then counts, so that a project copied to a machine without its sources reuses what was made.
"""

from __future__ import annotations

from stillhouse import shapes
from stillhouse.code_of_parts import code_version
from stillhouse.config.project import Project
from stillhouse.errors import UserError
from stillhouse.shapes import Where
from stillhouse.state import State, state_of
from stillhouse.storage.files import digest, sha256_of


def source_files(state: State, _: Where) -> str | None:
    """Names, sizes and times: whether content changed, the step itself finds out."""
    from stillhouse.corpus.sources import listing_digest

    return listing_digest(state.project)


def pseudonym_key(state: State, _: Where) -> str | None:
    from stillhouse.corpus.masked import pseudonym_key_id

    return pseudonym_key_id(state.layout) or "none yet"


def vault(state: State, _: Where) -> str | None:
    from stillhouse.corpus.masked import vault_id

    return vault_id(state.layout) or "none yet"


def pii_gold(state: State, _: Where) -> str | None:
    """Digest of the texts with their personal data marked."""
    from stillhouse.corpus.pii_gold import gold_digest

    named = state.project.privacy.pii_gold
    return gold_digest(state.project.root / named) if named else "none"


def held_out(state: State, _: Where) -> str | None:
    """Digest of the texts that must never be trained on; None where they can't be read now."""
    named = state.project.splits.held_out
    try:
        return sha256_of(state.project.root / named.path) if named else "none"
    except OSError:
        return None


def prices(state: State, _: Where) -> str | None:
    """Digest of the price file, and of which releases are in use; None where it can't be read."""
    from stillhouse.release.channels import PRODUCTION, pointed

    named = state.project.economics.prices
    used = [pointed(state.layout, s.name, PRODUCTION) for s in state.project.students]
    try:
        return digest(sha256_of(state.project.root / named), used) if named else "none"
    except OSError:
        return None


def edge_cases(state: State, _: Where) -> str | None:
    """Digest of the project's own edge cases and, where there are any, how they are masked."""
    from stillhouse.evaluate.edge_file import file_digest

    found = file_digest(state.project.root)
    if found in ("none", None):
        return found
    return digest(found, shapes.masking(Where(state.project)), code_version("masking"))


def reviews(state: State, _: Where) -> str | None:
    """Digest of what people said of gold pairs."""
    from stillhouse.dataset.review.strata import GOLD

    return _reviews(state, GOLD)


def answer_reviews(state: State, _: Where) -> str | None:
    """Digest of what people said of teachers' answers."""
    from stillhouse.dataset.review.strata import ANSWER

    return _reviews(state, ANSWER)


def output_reviews(state: State, _: Where) -> str:
    """Digest of what people said of models' outputs; "" where nobody said anything."""
    from stillhouse.dataset.review.filled_in import NOTHING_SAID, reviews_digest
    from stillhouse.evaluate.graded import OUTPUT

    # Verdicts alone count: no text comes out of them that would have to be masked.
    said = reviews_digest(state.layout.reviews, OUTPUT)
    return "" if said == NOTHING_SAID else said


def _reviews(state: State, kind: str) -> str:
    """What was said and, where something was, how it is masked."""
    from stillhouse.dataset.review.filled_in import NOTHING_SAID, reviews_digest

    said = reviews_digest(state.layout.reviews, kind)
    if said == NOTHING_SAID:
        return said
    return digest(said, shapes.masking(Where(state.project)), code_version("masking"))


def teacher_source(state: State, where: Where) -> str | None:
    """Digest of the weights as they came; None where they are not on this machine any more."""
    from stillhouse.models.endpoints import endpoint_digest
    from stillhouse.models.fetch import default_cache, source_digest

    known, project = state.layout.teacher_source(str(where.version)), state.project
    model = where.teacher.model
    try:
        if where.teacher.elsewhere:
            return endpoint_digest(where.teacher, project.root, project.registry)
        return source_digest(model, default_cache(), project.root, project.registry, known=known)
    except UserError:
        return None


def base(state: State, where: Where) -> str | None:
    """Digest of the model that a student begins as, "" where it is cut from its teacher; None where
    it is not on this machine any more."""
    from stillhouse.models.fetch import default_cache, source_digest

    named, project = where.student.init.base, state.project
    if named is None:
        return ""
    known = state.layout.cache("bases") / f"{where.student_name}.json"
    try:
        return source_digest(named, default_cache(), project.root, project.registry, known=known)
    except UserError:
        return None


def candidates(state: State, _: Where) -> str:
    """Digest of the content of every teacher version."""
    versions = [teacher.version for teacher in state.project.teachers]
    return digest({v: teacher_source(state, Where(state.project, v)) for v in versions})


def traffic_logs(state: State, _: Where) -> str | None:
    """Names, sizes and times of request logs, and the key that their pseudonyms are made with."""
    from stillhouse.corpus.masked import pseudonym_key_id
    from stillhouse.monitor.logs import logs_digest

    if not (logs := state.project.traffic.logs):
        return "none"
    return digest(logs_digest(state.project.root, logs), pseudonym_key_id(state.layout))


def production(state: State, where: Where) -> str | None:
    """The release of the student that is in production, where there is traffic of one."""
    from stillhouse.release.channels import PRODUCTION, pointed

    if not state.project.traffic.logs:
        return "none"
    return pointed(state.layout, str(where.student_name), PRODUCTION) or "none"


def attacks(state: State, _: Where) -> str | None:
    """Digest of the project's own attack prompts; None where they can't be read now."""
    named = state.project.leak_audit.attacks
    try:
        return sha256_of(state.project.root / named) if named else "none"
    except OSError:
        return None


OUTSIDE = {
    "files": source_files,
    "pseudonym_key": pseudonym_key,
    "vault": vault,
    "pii_gold": pii_gold,
    "held_out": held_out,
    "edge_cases": edge_cases,
    "reviews": reviews,
    "answer_reviews": answer_reviews,
    "output_reviews": output_reviews,
    "source": teacher_source,
    "prices": prices,
    "base": base,
    "traffic_logs": traffic_logs,
    "production": production,
    "attacks": attacks,
    "candidates": candidates,
}


def open_state(project: Project, *, run_id: str | None = None) -> State:
    """The state of a project, with everything outside looked at; see `state_of`."""
    return state_of(project, OUTSIDE, run_id=run_id)
