"""``mami-deid profile``: what would be done, for which reason, and what may be said of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deid.cli.terminal import print_json

if TYPE_CHECKING:
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
    """Print the action for every tag, and the rule for tags that no table lists."""
    import dataclasses

    from deid.dicom.profile import profile_rows

    rows = profile_rows(_recipe(recipe, preset).profile())
    if json:
        print_json([dataclasses.asdict(row) for row in rows])
        return
    for row in rows:
        typer.echo("\t".join(str(value) for value in dataclasses.astuple(row)))


@app.command("statement")
def statement(recipe: RecipeOption = None, preset: PresetOption = "research") -> None:
    """Print the conformance statement (PS3.15 E.1.3) as Markdown."""
    from deid.dicom.profile import conformance_statement

    typer.echo(conformance_statement(_recipe(recipe, preset).profile()))


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
    for code, meaning in claims.codes:
        typer.echo(f"claims  {code}  {meaning}")
    for row in claims.weakened:
        typer.echo(f"weaker than the standard: {row}")
