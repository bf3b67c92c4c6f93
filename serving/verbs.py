"""Verbs of the command line that serve, read and measure; each imports what it needs when it is used."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from datasets.verbs import lacking, say
from model.anatomy import Laterality

if TYPE_CHECKING:
    from serving.settings import Settings

app: Final = typer.Typer()

ProviderName = Literal["cpu", "cuda", "tensorrt", "openvino", "directml"]
ModelOption = Annotated[Path | None, typer.Option("--model", help="ONNX file; the starter model without it.")]
ProviderOption = Annotated[
    ProviderName | None, typer.Option(help="What runs the network; as it was tuned, else cpu, without it.")
]
LooksOption = Annotated[
    int,
    typer.Option(min=1, max=2, help="2: what was found is looked at again from nearer by; 1: half the time."),
]
HostOption = Annotated[str, typer.Option(help="Address to listen on.")]
PortOption = Annotated[int, typer.Option(help="Port to listen on.")]
ServedHost = Annotated[str | None, typer.Option("--host", help="Address to listen on; 127.0.0.1 without it.")]
ServedPort = Annotated[int | None, typer.Option("--port", help="Port to listen on; 8000 without it.")]


def settings_of(**told: Any) -> "Settings":
    """Settings from what the command line tells; None is left to HIPSONO_* and the defaults. Raises ValueError."""
    from serving.settings import mistyped, settings

    for warning in mistyped(os.environ):
        say(warning)
    return settings(**{name: value for name, value in told.items() if value is not None})


def need_link() -> None:
    """Raises ValueError with the cure where the link extra is not installed."""
    try:
        import pyigtl  # noqa: F401
        import pynetdicom  # noqa: F401
    except ImportError as error:
        raise lacking(error.name, "link") from error


@app.command()
def demo(host: ServedHost = None, port: ServedPort = None) -> None:
    """Serve the viewer with phantom cines of the three hip views playing.  Example: hipsono demo"""
    from serving.demo import run_demo

    run_demo(settings_of(host=host, port=port, demo=True))


@app.command()
def serve(
    host: ServedHost = None,
    port: ServedPort = None,
    looks: Annotated[
        int | None, typer.Option(min=1, max=2, help="2: a posted frame is looked at once more from nearer by.")
    ] = None,
    model: ModelOption = None,
    provider: ProviderOption = None,
) -> None:
    """Serve readings over HTTP and WebSocket.  Example: hipsono serve --port 8080"""
    from serving.app import run_server

    run_server(settings_of(host=host, port=port, looks=looks, model=model, provider=provider))


@app.command()
def read(
    files: Annotated[list[Path], typer.Argument(help="Pictures, DICOM files, videos, or folders of them.")],
    overlay: Annotated[Path | None, typer.Option(help="Folder for annotated pictures.")] = None,
    spacing_mm: Annotated[
        str | None, typer.Option(help="ROW,COL in mm per pixel, for pictures without a scale.")
    ] = None,
    laterality: Annotated[Laterality, typer.Option(help="Side of the hip.")] = Laterality.UNKNOWN,
    age_years: Annotated[float | None, typer.Option(help="Age of the patient.")] = None,
    looks: LooksOption = 2,
    model: ModelOption = None,
    provider: ProviderOption = None,
) -> None:
    """One Reading a line (JSON) on stdout.  Example: hipsono read study/ --overlay shown/"""
    from serving.batch import ReadOptions, read_files

    options = ReadOptions(overlay, spacing_mm, laterality, age_years)
    failures = lines = 0
    for line in read_files(files, settings_of(model=model, provider=provider, looks=looks), options):
        lines += 1
        if line.error is None:
            sys.stdout.write(line.text + "\n")
        else:
            failures += not line.skipped
            say(f"{line.source}: {line.error}")
    if not lines:
        say(f"no file in {', '.join(map(str, files))}")
    raise SystemExit(0 if lines and not failures else 1)


@app.command()
def watch(
    source: Annotated[
        str, typer.Option(help="A grabber's number or device file, an address (rtsp://), or a video.")
    ] = "0",
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT asked of a grabber.")] = None,
    rate: Annotated[float | None, typer.Option(min=1, help="Pictures a second asked of a grabber.")] = None,
    codec: Annotated[str | None, typer.Option(help="MJPG for full rate over USB 2, YUYV for no compression.")] = None,
    lines: Annotated[bool, typer.Option("--lines", help="Print each Reading; end with the source.")] = False,
    spacing_mm: Annotated[str | None, typer.Option(help="ROW,COL in mm per pixel.")] = None,
    laterality: Annotated[Laterality, typer.Option(help="Side of the hip.")] = Laterality.UNKNOWN,
    age_years: Annotated[float | None, typer.Option(help="Age of the patient.")] = None,
    host: ServedHost = None,
    port: ServedPort = None,
    model: ModelOption = None,
    provider: ProviderOption = None,
) -> None:
    """Read a frame grabber, a stream or a video live, in the viewer.  Example: hipsono watch --source /dev/video0"""
    from datasets.files import FrameOptions, parse_spacing
    from serving.capture import Source, parse_size
    from serving.watch import watch as run

    spacing = parse_spacing(spacing_mm) if spacing_mm else None
    known = FrameOptions(spacing, laterality, age_years)
    watched = Source(source, parse_size(size) if size else None, rate, codec)
    run(watched, settings_of(host=host, port=port, model=model, provider=provider), known, lines=lines)


@app.command()
def igtl(
    connect: Annotated[str | None, typer.Option(help="HOST:PORT of a PLUS server or of Slicer.")] = None,
    listen: Annotated[int | None, typer.Option(help="Port to wait on; 18944 is usual.")] = None,
    host: Annotated[str, typer.Option(help="Address to wait on; 0.0.0.0 is every one of this machine.")] = "127.0.0.1",
    spacing_mm: Annotated[str | None, typer.Option(help="ROW,COL in mm per pixel; else the image's matrix.")] = None,
    laterality: Annotated[Laterality, typer.Option(help="Side of the hip.")] = Laterality.UNKNOWN,
    age_years: Annotated[float | None, typer.Option(help="Age of the patient.")] = None,
    model: ModelOption = None,
    provider: ProviderOption = None,
) -> None:
    """Answer OpenIGTLink images with overlay, points and Reading.  Example: hipsono igtl --connect 127.0.0.1:18944"""
    need_link()
    from datasets.files import FrameOptions, parse_spacing
    from model.reading import Reader
    from serving.igtl import link, parse_peer
    from serving.tuning import open_session

    peer = parse_peer(connect, listen, host)
    known = FrameOptions(parse_spacing(spacing_mm) if spacing_mm else None, laterality, age_years)
    reader = Reader(open_session(settings_of(model=model, provider=provider)))
    say(f"hipsono answers OpenIGTLink images {'on' if peer.listen else 'from'} {peer.host}:{peer.port}")
    for reading in link(peer, reader, known):
        sys.stdout.write(f"{reading.view.name} {reading.solar.gsus.grade}\n")
        sys.stdout.flush()


@app.command()
def listen(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the readings.")],
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 11112,
    host: HostOption = "127.0.0.1",
    aet: Annotated[str, typer.Option(help="Application entity title of this end.")] = "HIPSONO",
    sr: Annotated[bool, typer.Option("--sr", help="A DICOM report of each instance.")] = False,
    seg: Annotated[bool, typer.Option("--seg", help="A DICOM segmentation of each instance.")] = False,
    overlays: Annotated[bool, typer.Option("--overlays", help="Annotated frames as DICOM secondary captures.")] = False,
    send_to: Annotated[str | None, typer.Option(help="AET@HOST:PORT that the DICOM results are stored to.")] = None,
    looks: LooksOption = 2,
    model: ModelOption = None,
    provider: ProviderOption = None,
) -> None:
    """Take DICOM by C-STORE, send results back.  Example: hipsono listen -o out --sr --send-to PACS@host:104"""
    need_link()
    try:
        from serving.archive.results import asked_results
    except ImportError as error:
        raise lacking(error.name, "archive") from error
    from model.reading import Reader
    from serving.address import check_address
    from serving.listen import Receiver, serve_until_stopped
    from serving.outbox import Outbox, Peer
    from serving.tuning import open_session

    check_address(host, port)
    results = asked_results(sr, seg, overlays)
    outbox = None
    if send_to is not None:
        if not results:
            raise ValueError("--send-to sends results: say which with --sr, --seg or --overlays")
        outbox = Outbox(out / "outbox", Peer.parse(send_to), aet)
        outbox.start()
    reader = Reader(open_session(settings_of(model=model, provider=provider)), looks=looks)
    say(f"hipsono takes C-STORE as {aet} on {host}:{port}, readings in {out}")
    serve_until_stopped(Receiver(reader, out, results, outbox), (host, port), aet)


@app.command()
def bench(
    rounds: Annotated[int, typer.Option(min=10, help="Requests of each way, in turn.")] = 200,
    seconds: Annotated[float, typer.Option(min=1, help="Length of each crowd and stream.")] = 15,
    overload: Annotated[float, typer.Option(min=0, help="Seconds of the flood; 0 leaves it out.")] = 60,
    peers: Annotated[bool, typer.Option("--peers/--no-peers", help="Other servers beside this one.")] = True,
    peers_python: Annotated[
        list[Path] | None, typer.Option(help="Interpreters of environments with LitServe, BentoML, MONAI Label.")
    ] = None,
    tuning: Annotated[
        bool, typer.Option("--tune", help="Choose threads and workers by measurement, and keep it.")
    ] = False,
    archive: Annotated[int | None, typer.Option(min=1000, help="Only grade an archive of so many frames.")] = None,
    plot: Annotated[Path | None, typer.Option(help="A picture of the rows, PNG or SVG by its name.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    model: ModelOption = None,
    provider: ProviderOption = None,
) -> None:
    """This server beside its floor and its peers, in one run.  Example: hipsono bench --rounds 50 --no-peers"""
    try:
        from serving.bench.run import Plan
        from serving.bench.run import bench as measure
    except ImportError as error:
        raise lacking(error.name, "bench") from error

    settings = settings_of(model=model, provider=provider)
    if tuning:
        from serving.bench.tune import keep_best

        say(keep_best(settings, say))
        return
    if archive is not None:
        from serving.bench.archive import bench_archive
        from serving.bench.figures import Report

        report = Report(f"{os.cpu_count()} cores", (), bench_archive(archive, settings, say))
        sys.stdout.write((report.to_json() + "\n") if as_json else report.markdown())
        return
    pythons = (Path(sys.executable), *(peers_python or ()))
    report = measure(Plan(rounds, seconds, overload, pythons if peers else ()), settings, say)
    sys.stdout.write((report.to_json() + "\n") if as_json else report.markdown())
    if plot is not None:
        from serving.bench.plot import draw

        draw(report, plot)


@app.command()
def info(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    model: ModelOption = None,
    provider: ProviderOption = None,
) -> None:
    """Versions, providers, model, thresholds.  Example: hipsono info --json"""
    from serving.about import about

    told = about(settings_of(model=model, provider=provider))
    if as_json:
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
        return
    for name, value in told.items():
        sys.stdout.write(f"{name:12} {value}\n")
