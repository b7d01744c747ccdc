"""What is measured, what is hoped for, and a table and a file of both."""

import json
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

    def __str__(self) -> str:
        sign, word = (">=" if self.at_least else "<="), ("yes" if self.is_met else "no")
        return f"{self.name:58} {self.value:8.2f}  {sign} {self.goal:<6.3g} {word:>3}"


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

    def tell(self) -> None:
        """Prints the table."""
        for figure in self.figures:
            click.echo(str(figure))

    def write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        figures = [asdict(figure) | {"is_met": figure.is_met} for figure in self.figures]
        content = {"figures": figures, "notes": self.notes}
        file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> "Report":
        content = json.loads(file.read_text(encoding="utf-8"))
        figures = [
            Figure(one["name"], one["value"], one["goal"], one["at_least"])
            for one in content["figures"]
        ]
        return cls(figures, content["notes"])
