"""``mami-deid profile``: what would be done, for which reason, and what may be said of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deid.cli.terminal import print_json, print_lines

if TYPE_CHECKING:
    from deid.dicom.profile import ProfileRow
    from deid.dicom.recipe import Recipe

app = typer.Typer(
    help="Show the active profile, its conformance statement and the schema of recipes.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

RecipeOption = Annotated[Path | None, typer.Option("--recipe", help="YAML recipe.")]
PresetOption = Annotated[str, typer.Option("--preset", help="research or basic; where no recipe is given.")]


def _recipe(recipe: Path | None, preset: str) -> Recipe:
    from deid.dicom.recipe import load_recipe, preset_recipe

    return load_recipe(recipe) if recipe is not None else preset_recipe(preset)


@app.command("show")
def show(
    recipe: RecipeOption = None,
    preset: PresetOption = "research",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the action for every tag, and the rule for tags that no table lists.

    Actions are the letters of PS3.15 (X remove, Z empty, D dummy, K keep, C clean, U new UID); where they
    depend on the type of the attribute in the object, those of types 3, 2 and 1: X/Z/D.
    """
    from deid.dicom.profile import profile_rows

    rows = [_shown(row) for row in profile_rows(_recipe(recipe, preset).profile())]
    if json:
        print_json(rows)
        return
    line = "{tag:<13}{vr:<13}{action:<9}{source:<13}{name}"
    header = {"tag": "tag", "vr": "VR", "action": "action", "source": "decided by", "name": "attribute"}
    print_lines(line.format_map(row) for row in [header, *rows])


def _shown(row: ProfileRow) -> dict[str, str]:
    source = "Table E.1-1" if row.listed else "rule by VR"
    tag = row.label.split(" ")[0]  # "(gggg,eeee) where gggg is odd": the name says private
    return {"tag": tag, "vr": row.vr, "action": row.actions, "source": source, "name": row.name}


@app.command("statement")
def statement(recipe: RecipeOption = None, preset: PresetOption = "research") -> None:
    """Print the conformance statement (PS3.15 E.1.3) as Markdown."""
    from deid.dicom.profile import conformance_statement

    print_lines([conformance_statement(_recipe(recipe, preset).profile()).rstrip()])


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of recipes."""
    from deid.dicom.recipe import recipe_schema

    print_json(recipe_schema())


@app.command("check")
def check(recipe: Annotated[Path, typer.Argument(help="YAML recipe.")]) -> None:
    """Check a recipe and say what it claims and what it weakens."""
    from deid.dicom.recipe import load_recipe

    claims = load_recipe(recipe).profile().claims()
    print_lines(f"claims  {code}  {meaning}" for code, meaning in claims.codes)
    print_lines(f"weaker than the standard: {row}" for row in claims.weakened)
