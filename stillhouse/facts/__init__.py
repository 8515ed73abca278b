"""What is known of each step's result, as it is written beside it: one frozen dataclass a step.

Numbers and names only. Nothing rendered (plots and tables are made when an asset reports), no
absolute path (a project folder can be moved), nothing of what a document says. `digest` is that of
the content alone: the same content has the same digest whenever, wherever and with whatever
how-it-runs settings it was made.
"""

from stillhouse.facts.audit import LeakAuditFacts, LeakRuleFacts
from stillhouse.facts.corpus import (
    CleansedDocumentsFacts,
    DocumentConfidentialityFacts,
    MaskedDocumentsFacts,
    ParsedDocumentsFacts,
    PiiQualityFacts,
    ReidentificationRiskFacts,
    SourceFilesFacts,
    UniqueDocumentsFacts,
)
from stillhouse.facts.dataset import (
    DatasetSplitsFacts,
    InstructionPairsFacts,
    ReviewFacts,
    ReviewSampleFacts,
)
from stillhouse.facts.economics import TcoReportFacts
from stillhouse.facts.history import GrownGapFacts, VersionComparisonFacts
from stillhouse.facts.latency import (
    LatencyLevelFacts,
    LatencyLimitFacts,
    LatencyProfileFacts,
    SpreadFacts,
)
from stillhouse.facts.models import (
    AdaptedTeacherFacts,
    CheckpointFacts,
    Epoch,
    EvaluationReportFacts,
    GateFacts,
    QuantizedModelFacts,
    SoftLabelsFacts,
    TeacherAnswersFacts,
    TeacherModelFacts,
    TrainedFacts,
)
from stillhouse.facts.monitor import (
    AbLookFacts,
    AbTaskFacts,
    AbTestFacts,
    DriftReportFacts,
    DriftTestFacts,
    ProductionTrafficFacts,
)
from stillhouse.facts.release import ReleaseFacts, ReleaseGateFacts
from stillhouse.facts.selection import TeacherComparisonFacts

__all__ = [
    "AbLookFacts",
    "AbTaskFacts",
    "AbTestFacts",
    "AdaptedTeacherFacts",
    "CheckpointFacts",
    "CleansedDocumentsFacts",
    "DatasetSplitsFacts",
    "DocumentConfidentialityFacts",
    "DriftReportFacts",
    "DriftTestFacts",
    "Epoch",
    "EvaluationReportFacts",
    "GateFacts",
    "GrownGapFacts",
    "InstructionPairsFacts",
    "LatencyLevelFacts",
    "LatencyLimitFacts",
    "LatencyProfileFacts",
    "LeakAuditFacts",
    "LeakRuleFacts",
    "MaskedDocumentsFacts",
    "ParsedDocumentsFacts",
    "PiiQualityFacts",
    "ProductionTrafficFacts",
    "QuantizedModelFacts",
    "ReidentificationRiskFacts",
    "ReleaseFacts",
    "ReleaseGateFacts",
    "ReviewFacts",
    "ReviewSampleFacts",
    "SoftLabelsFacts",
    "SourceFilesFacts",
    "SpreadFacts",
    "TcoReportFacts",
    "TeacherAnswersFacts",
    "TeacherComparisonFacts",
    "TeacherModelFacts",
    "TrainedFacts",
    "UniqueDocumentsFacts",
    "VersionComparisonFacts",
]
