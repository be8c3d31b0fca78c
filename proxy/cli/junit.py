"""Gate decisions as JUnit XML, which every CI system can show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from proxy.gate import Condition, GateResult

# What XML 1.0 does not allow in a document at all (section 2.2), escaped or not.
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(results: Sequence[GateResult]) -> bytes:
    """One suite a domain, one case a condition: failed where it does not hold, in error where nobody can tell."""
    conditions = [condition for result in results for condition in result.conditions]
    root = Element("testsuites", {"name": "shadowread gate", **_totals(conditions)})
    for result in results:
        about = {"name": _clean(result.domain), "timestamp": result.decided_at.isoformat()}
        suite = SubElement(root, "testsuite", {**about, **_totals(result.conditions)})
        for condition in result.conditions:
            name = f"gate.{_clean(result.domain)}"
            case = SubElement(suite, "testcase", classname=name, name=condition.name, time="0")
            if condition.ok is None:
                SubElement(case, "error", message=_clean(condition.reason))
            elif not condition.ok:
                SubElement(case, "failure", message=_clean(condition.reason))
            else:
                SubElement(case, "system-out").text = _clean(condition.text)
        if result.notes:
            SubElement(suite, "system-out").text = _clean("\n".join(note.text for note in result.notes))
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _totals(conditions: Sequence[Condition]) -> dict[str, str]:
    return {
        "tests": str(len(conditions)),
        "failures": str(sum(condition.ok is False for condition in conditions)),
        "errors": str(sum(condition.ok is None for condition in conditions)),
    }


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
