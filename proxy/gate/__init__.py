"""The gate: whether a domain's evidence suffices to flip its reads. Pure: figures in, a decision out."""

from proxy.gate.decide import decide
from proxy.gate.evidence import GateEvidence
from proxy.gate.result import Condition, GateResult, Provenance, State, exit_code

__all__ = ["Condition", "GateEvidence", "GateResult", "Provenance", "State", "decide", "exit_code"]
