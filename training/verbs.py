"""Verbs of the command line that make and examine networks."""

from pathlib import Path
from typing import Annotated, Final

import typer

from datasets.verbs import lacking

app: Final = typer.Typer()
capsule_app: Final = typer.Typer(help="A second network that follows the capsule along the neck.", no_args_is_help=True)
app.add_typer(capsule_app, name="capsule")


def need_training() -> None:
    """Raises ValueError with the cure where the train extra is not installed."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise lacking(error.name, "train") from error


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="TOML file, such as training/recipes/starter.toml.")],
    data: Annotated[Path, typer.Option(help="Data set folder.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Run folder.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in that folder, if there is one.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, gpu or gpu:N.")] = "cpu",
    extra: Annotated[list[Path] | None, typer.Option(help="Data sets mixed in at the recipe's extra_share.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Run folder, or exported ONNX file, whose network to start from.")
    ] = None,
    teacher: Annotated[
        list[Path] | None,
        typer.Option(help="Run folder, or exported ONNX file, to learn from at taught_share; of two, their mean."),
    ] = None,
) -> None:
    """Train a network.  Example: hipsono train training/recipes/starter.toml --data data/starter -o runs/starter"""
    need_training()
    from training.loop import train as run
    from training.recipe import load_recipe
    from training.run_folder import Sources

    sources = Sources(data, tuple(extra or ()), weights, tuple(teacher or ()))
    run(load_recipe(recipe), sources, out, resume=resume, device=device)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="ONNX file to write.")],
    beside: Annotated[
        Path | None, typer.Option("--with", help="Another run: the file says the mean of both, in twice the time.")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Half the size: weights kept in half precision.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Smaller and quicker: INT8 convolutions.")] = False,
    name: Annotated[str, typer.Option(help="NAME or NAME:VERSION that readings tell; the run's folder without.")] = "",
) -> None:
    """One self-contained ONNX file of a run's best network.  Example: hipsono export runs/starter -o hip.onnx"""
    need_training()
    from training.export import export as write
    from training.export import export_int8

    if not int8:
        write(run, out, beside, half=half, name=name)
    elif beside is None and not half and not name:
        export_int8(run, out)
    else:
        raise ValueError("--int8 is of one network, named by its run, and smaller than half: leave the others out")


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="ONNX file, or a run folder.")],
    data: Annotated[Path, typer.Option(help="Data set folder.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for report.html and report.json.")],
    looks: Annotated[
        int, typer.Option(min=1, max=2, help="2 as in archives; 1 as in a stream, which has time for no more.")
    ] = 2,
) -> None:
    """How well a network reads a data set.  Example: hipsono evaluate hip.onnx --data data/exam -o report"""
    need_training()
    from training.evaluate import evaluate as examine

    examine(model, data, out, looks)


@capsule_app.command("train")
def capsule_train(
    recipe: Annotated[Path, typer.Argument(help="TOML file, such as training/recipes/capsule.toml.")],
    data: Annotated[Path, typer.Option(help="Data set folder, split by patient.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Run folder.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in that folder, if there is one.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, gpu or gpu:N.")] = "cpu",
    extra: Annotated[list[Path] | None, typer.Option(help="Data sets learnt from as a whole.")] = None,
) -> None:
    """Learn from longitudinal frames.  Example: hipsono capsule train recipe.toml --data data/hips -o runs/capsule"""
    need_training()
    from training.capsule.learn import learn, load_capsule_recipe
    from training.run_folder import Sources

    learn(load_capsule_recipe(recipe), Sources(data, tuple(extra or ())), out, resume=resume, device=device)


@capsule_app.command("attach")
def capsule_attach(
    model: Annotated[Path, typer.Argument(help="Exported ONNX file.")],
    run: Annotated[Path, typer.Argument(help="Run folder of `hipsono capsule train`.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="ONNX file to write: the model with it inside.")],
    name: Annotated[str, typer.Option(help="NAME or NAME:VERSION that readings tell; the model's without.")] = "",
) -> None:
    """Put it into a model's file.  Example: hipsono capsule attach hip.onnx runs/capsule -o new.onnx"""
    need_training()
    from training.capsule.attach import attach

    attach(model, run, out, name)
