"""The A/A run: the primary is shadowed by itself, and whatever differs then is noise and no finding."""

from proxy.noise.report import DomainNoise, Noise, Report, RouteNoise, report_of
from proxy.noise.run import aa_settings, begin_anew

__all__ = ["DomainNoise", "Noise", "Report", "RouteNoise", "aa_settings", "begin_anew", "report_of"]
