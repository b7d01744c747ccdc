"""What is measured, what is hoped for, and a table and a file of both."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click


@dataclass(frozen=True)
class Figure:
    """Something that there is a goal for: at least so much, or at most."""

    name: str
    value: float
    goal: float
    at_least: bool = True

    @property
    def is_met(self) -> bool:
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    @property
    def wanted(self) -> str:
        """The goal, for people."""
        return f"{'>=' if self.at_least else '<='} {self.goal:.3g}"


@dataclass
class Report:
    """All that was found."""

    figures: list[Figure] = field(default_factory=list)
    notes: dict[str, dict[str, float]] = field(default_factory=dict)

    def add(self, figure: Figure) -> None:
        self.figures.append(figure)

    def note(self, name: str, values: dict[str, float], text: str, width: int = 44) -> None:
        """Keeps what there is no goal for, and tells it while the rest is measured."""
        self.notes[name] = values
        click.echo(f"{name:{width}} {text}", err=True)

    def table(self) -> str:
        """What there are goals for, a line each."""
        lines = [f"{'':58} {'measured':>9}  {'goal':9} met"]
        for one in self.figures:
            met = "yes" if one.is_met else "no"
            lines.append(f"{one.name:58} {one.value:9.2f}  {one.wanted:9} {met}")
        return "\n".join(lines)

    def markdown(self) -> str:
        """The same, as documents have it."""
        lines = ["| | measured | goal | met |", "|---|---|---|---|"]
        for one in self.figures:
            wanted = one.wanted.replace(">=", "≥").replace("<=", "≤")
            met = "yes" if one.is_met else "no"
            lines.append(f"| {one.name} | {one.value:.2f} | {wanted} | {met} |")
        return "\n".join(lines)

    def write(self, file: Path, machine: Mapping[str, str] | None = None) -> None:
        """Writes all, and of which machine it is."""
        file.parent.mkdir(parents=True, exist_ok=True)
        figures = [asdict(figure) | {"is_met": figure.is_met} for figure in self.figures]
        content = {"machine": machine or {}, "figures": figures, "notes": self.notes}
        file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> "Report":
        content = json.loads(file.read_text(encoding="utf-8"))
        figures = [
            Figure(one["name"], one["value"], one["goal"], one["at_least"])
            for one in content["figures"]
        ]
        return cls(figures, content["notes"])
