"""The training commands: a flag for every field of the options, and nothing heavy before it is needed."""

import subprocess
import sys

import pytest
import typer

from deid.cli.app import app
from deid.training.options import option_text
from deid.workflows.train_classifier import ClassifierOptions
from deid.workflows.train_reid import ReidOptions
from deid.workflows.train_unet import UnetOptions

COMMANDS = {"train-classifier": ClassifierOptions, "train-reid": ReidOptions, "train-unet": UnetOptions}
DECLARED = ("data", "out", "config", "as_json")


@pytest.fixture(params=COMMANDS)
def command(request):
    """A command, and the class of its options."""
    return typer.main.get_command(app).commands[request.param], COMMANDS[request.param]


def parameters(command):
    """All but the declared and the help, by name, in the order of the help."""
    shown = command.get_params(typer.Context(command))
    assert [parameter.name for parameter in shown[:4]] == list(DECLARED) and shown[-1].name == "help"
    return {parameter.name: parameter for parameter in shown[4:-1]}


def test_flags_fields_and_help_are_the_same(command):
    command, options = command
    flags = parameters(command)
    assert set(flags) == set(options.model_fields)
    for name, field in options.model_fields.items():
        flag, written = flags[name], name.replace("_", "-")
        assert flag.opts == [f"--{written}"] and flag.default is None and flag.help == field.description
        assert flag.secondary_opts == ([f"--no-{written}"] if field.annotation is bool else [])
        assert flag.show_default == (option_text(field.get_default(call_default_factory=True)) or True)


def test_own_flags_come_before_those_of_all_trainings(command):
    names = list(parameters(command[0]))
    assert names[0] == "name" and names.index("labels") < names.index("epochs")


@pytest.mark.parametrize(
    ("name", "metavar"),
    [("device", "auto|cuda|mps|cpu"), ("labels", "FILE"), ("cache", "FOLDER"), ("epochs", None)],
)
def test_what_a_flag_takes_is_shown(command, name, metavar):
    assert parameters(command[0])[name].metavar == metavar


def test_the_help_names_no_class_and_loads_no_torch():
    code = "import sys; sys.argv=['mami-deid','train-unet','--help']\nfrom deid.cli.app import main\n"
    code += "try: main()\nexcept SystemExit: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Train an anonymizer on the images of DATA" in done.stdout
    assert "--critic-steps" in done.stdout and done.stdout.endswith("False\n")
