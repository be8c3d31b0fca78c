"""The id map: which ObjectId of the primary side is which uuid of the shadow side."""

from proxy.identity.cache import Conflict
from proxy.identity.errors import IdentityError
from proxy.identity.pairs import parse_pairs, read_pairs
from proxy.identity.service import Figures, Identity, Limits, Probe
from proxy.identity.sources import FileSource, Source, TableSource

__all__ = [
    "Conflict",
    "Figures",
    "FileSource",
    "Identity",
    "IdentityError",
    "Limits",
    "Probe",
    "Source",
    "TableSource",
    "parse_pairs",
    "read_pairs",
]
