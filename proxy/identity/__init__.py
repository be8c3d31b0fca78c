"""The id map: which ObjectId of the primary side is which uuid of the shadow side."""

from proxy.identity.conflicts import Ambiguity, Conflict, Row, ambiguous
from proxy.identity.errors import IdentityError
from proxy.identity.pairs import parse_pairs, read_pairs
from proxy.identity.service import Figures, Identity, Limits, Probe
from proxy.identity.sources import FileSource, Source, TableSource

__all__ = [
    "Ambiguity",
    "Conflict",
    "Figures",
    "FileSource",
    "Identity",
    "IdentityError",
    "Limits",
    "Probe",
    "Row",
    "Source",
    "TableSource",
    "ambiguous",
    "parse_pairs",
    "read_pairs",
]
