"""Provenance: what proves that the shadow reads another store than the primary. Without it a zero is worth nothing."""

from __future__ import annotations

from proxy.provenance.prover import Prover
from proxy.provenance.reads import Reads

__all__ = ["Prover", "Reads"]
