"""``card.md``: the text that goes with a model, made from its record."""

from collections.abc import Iterator, Sequence

from deid.core.model_card import DataSource, InputRange, Metric, ModelRecord


def card_text(record: ModelRecord, about: str) -> str:
    """The card of a model in Markdown; every figure in it stands in the record.

    Args:
        record: The record; its weights may still be missing.
        about: What the model does and where it falls short, in Markdown.
    """
    sections = (
        (f"# {record.name}", [about.strip()]),
        ("## Input", _input_lines(record.input)),
        ("## Outputs", [f"- {finding}" for finding in record.findings]),
        ("## Data", _data_lines(record.training)),
        ("## Measured", _metric_lines(record.metrics)),
        ("## Made by", ["```sh", *record.commands, "```"] if record.commands else []),
        ("## Licence", [record.licence]),
    )
    return "\n\n".join("\n".join([title, "", *lines]) for title, lines in sections if lines) + "\n"


def _input_lines(given: InputRange) -> list[str]:
    rows, columns = given.size
    rule = given.intensity
    numbers = ", ".join(f"{name} {value:g}" for name, value in sorted(rule.parameters.items()))
    lines = [
        f"- Modality: {', '.join(given.modalities)}; {', '.join(given.photometric)}",
        f"- View: {', '.join(given.views) or 'any'}; body part: {', '.join(given.body_parts) or 'any'}",
        f"- Patients: {given.age}",
        f"- Size: {rows} x {columns} pixels (rows x columns); geometry: {given.geometry}",
        f"- Grey values: {rule.rule} ({numbers})",
    ]
    if given.slices is not None:
        count, share = given.slices.count, 100 * given.slices.middle
        lines.append(f"- Volumes: {count} slices of the middle {share:g} % of what is not empty")
    return lines


def _data_lines(sources: tuple[DataSource, ...]) -> list[str]:
    rows = [(s.role.value, s.source, str(s.patients), str(s.images), s.licence) for s in sources]
    return list(_table(("used for", "source", "patients", "images", "licence"), rows))


def _metric_lines(metrics: tuple[Metric, ...]) -> list[str]:
    rows = [
        (m.name, f"{m.value:.4g}", _interval(m), m.source, m.split, str(m.patients), str(m.images))
        for m in metrics
    ]
    return list(_table(("figure", "value", "interval", "source", "split", "patients", "images"), rows))


def _interval(metric: Metric) -> str:
    if metric.low is None or metric.high is None or metric.confidence is None:
        return "-"
    return f"{metric.low:.4g} to {metric.high:.4g} ({100 * metric.confidence:g} %)"


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    for row in [header, ("---",) * len(header), *rows] if rows else []:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
