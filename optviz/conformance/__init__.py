"""The checker: laws that every Optax-compatible optimizer must obey, and traits that it may have."""

from optviz.conformance.check import LAWS, CheckFailed, check_optimizer
from optviz.conformance.law import Law
from optviz.conformance.report import Report, Result

__all__ = ["LAWS", "CheckFailed", "Law", "Report", "Result", "check_optimizer"]
