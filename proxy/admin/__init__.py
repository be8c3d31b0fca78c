"""The admin port and the read model behind it."""

from proxy.admin.checks import Part, Readiness, reaches
from proxy.admin.evidence import Evidence, UnknownNameError
from proxy.admin.gauges import watch, watch_verification
from proxy.admin.site import AdminSite

__all__ = ["AdminSite", "Evidence", "Part", "Readiness", "UnknownNameError", "reaches", "watch", "watch_verification"]
