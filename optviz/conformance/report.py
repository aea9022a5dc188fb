"""What a check found: a verdict for each law, as a table, JSON, or a page."""

from __future__ import annotations

import dataclasses
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from optviz.conformance.law import Law

Outcome = Literal["pass", "fail", "not applicable", "expected failure", "unexpected pass"]


@dataclasses.dataclass(frozen=True)
class Result:
    """A law's verdict, and what it saw."""

    law: Law
    outcome: Outcome
    detail: str = ""
    seconds: float = 0.0
    cause: str = ""
    """The optimizer's own error, with the line that raised it; empty if there was none."""
    mend: str = ""
    """How to mend a failure."""

    @property
    def failed(self) -> bool:
        """Whether it counts against the optimizer: an expected failure that passes does, since the reason is gone."""
        return self.outcome in ("fail", "unexpected pass")


@dataclasses.dataclass(frozen=True)
class Report:
    """The verdicts on one optimizer, and its traits."""

    optimizer: str
    results: Sequence[Result]
    traits: Mapping[str, Any]

    @property
    def failures(self) -> list[Result]:
        """The results that count against it."""
        return [r for r in self.results if r.failed]

    @property
    def passed(self) -> bool:
        """Whether nothing fails."""
        return not self.failures

    def counts(self) -> dict[str, int]:
        """How many laws have each outcome."""
        outcomes = [r.outcome for r in self.results]
        return {outcome: outcomes.count(outcome) for outcome in dict.fromkeys(outcomes)}

    def as_json(self) -> str:
        """The report as JSON text."""
        laws = [
            {
                "law": r.law.id, "outcome": r.outcome, "severity": r.law.severity, "detail": r.detail,
                "why": r.law.why, "mend": r.mend, "seconds": round(r.seconds, 3),
            }
            for r in self.results
        ]  # fmt: skip
        document = {"optimizer": self.optimizer, "passed": self.passed, "results": laws, "traits": dict(self.traits)}
        return json.dumps(document, indent=2, allow_nan=False)

    def table(self) -> Any:
        """The report as a `rich` table: what fails, and what is worth knowing."""
        from rich import box
        from rich.markup import escape
        from rich.table import Table

        told = ", ".join(f"{n} {outcome}" for outcome, n in self.counts().items())
        table = Table(box=box.SIMPLE_HEAD, title=f"{self.optimizer}: {told}", title_justify="left", show_edge=False)
        for heading in ("law", "verdict", "what was seen"):
            table.add_column(heading, no_wrap=heading == "law", overflow="fold")
        styles = {"pass": "green", "fail": "bold red", "unexpected pass": "bold red", "expected failure": "yellow"}
        for r in self.results:
            mend = f"\nMend: {r.mend}" if r.outcome == "fail" else ""
            table.add_row(r.law.id, f"[{styles.get(r.outcome, 'dim')}]{r.outcome}[/]", escape(r.detail + mend))
        return table

    def write_html(self, filename: str | Path, picture: str | None = None) -> Path:
        """Write the report as a page of its own, with a picture as SVG text if there is one."""
        rows = "".join(_row(r) for r in sorted(self.results, key=lambda r: not r.failed))
        traits = "".join(
            f"<tr><th>{html.escape(k)}</th><td>{html.escape(str(v))}</td></tr>" for k, v in self.traits.items()
        )
        told = ", ".join(f"{n} {outcome}" for outcome, n in self.counts().items())
        text = _PAGE.format(
            name=html.escape(self.optimizer), told=told, rows=rows, traits=traits, picture=picture or ""
        )
        Path(filename).write_text(text, encoding="utf-8")
        return Path(filename)


def _row(result: Result) -> str:
    told = html.escape(result.detail)
    if result.outcome == "fail":
        told += f"<p><b>Mend:</b> {html.escape(result.mend)}</p>"
    kind = result.outcome.replace(" ", "-")
    why = html.escape(result.law.why)
    cells = "".join(f"<td>{cell}</td>" for cell in (html.escape(result.law.id), result.outcome, told, why))
    return f"<tr class='{kind}'>{cells}</tr>"


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{name}: checked</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; width: 100%; margin: 1rem 0 }}
td, th {{ text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #ddd }}
.fail td:nth-child(2), .unexpected-pass td:nth-child(2) {{ color: #b00020; font-weight: bold }}
.pass td:nth-child(2) {{ color: #1b7f3b }} .not-applicable {{ color: #777 }}
.expected-failure td:nth-child(2) {{ color: #9a6700 }}
.fail p {{ margin: .3rem 0 0 }} .traits {{ width: auto }}
td:first-child {{ overflow-wrap: anywhere; min-width: 8rem }}
svg {{ display: block; margin: auto; max-width: 100%; height: auto }}
@media (max-width: 40rem) {{
  table:not(.traits) tr:first-child {{ display: none }}
  table:not(.traits) td {{ display: block; border: 0; padding: 0 .3rem }}
  table:not(.traits) tr {{ display: block; border-bottom: 1px solid #ddd; padding: .5rem 0 }}
}}
</style>
<h1>{name}</h1><p>{told}</p>{picture}
<table>
<tr><th>law</th><th>verdict</th><th>what was seen</th><th>why it matters</th></tr>
{rows}</table>
<h2>Traits</h2><p>Reported, not judged.</p><table class="traits">{traits}</table></html>
"""
