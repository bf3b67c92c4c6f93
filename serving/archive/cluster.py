"""Studies over a Ray cluster: the same plan and the same function a study, so the same tables.

Every node has hipsono, the model and the archive at the same paths (an image and a share; a DICOMweb archive needs
none). Only the driver writes. A node that is lost costs its studies' time: they are read again elsewhere.
"""

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import ray
from ray.exceptions import RayError, RayTaskError

from serving.archive.parts import Parts
from serving.archive.plan import Study
from serving.archive.pool import AHEAD, Died, Done, Setup, Worker
from serving.archive.study import StudyRead

_ROOT: Final = Path(__file__).resolve().parents[2]
_RETRIES: Final = 3
"""How often a study is begun again whose process or node was lost; one that kills every process is left out then."""

_worker: Worker | None = None


def read_all_on_ray(studies: Iterable[Study], setup: Setup, address: str) -> Iterator[Done | Died]:
    """Reads studies on a cluster and writes them here. Raises ConnectionError where the cluster does not answer."""
    mine = not ray.is_initialized()
    if mine:
        env = {"env_vars": {"PYTHONPATH": os.pathsep.join((str(_ROOT), os.environ.get("PYTHONPATH", "")))}}
        ray.init(address=address, runtime_env=env, log_to_driver=False, configure_logging=False)
    try:
        yield from _read_all(iter(studies), setup)
    finally:
        if mine:
            ray.shutdown()


def _read_all(waiting: Iterator[Study], setup: Setup) -> Iterator[Done | Died]:
    parts, given = Parts(setup.parts, setup.digest), ray.put(setup)
    at_work: dict[Any, Study] = {}
    while True:
        window = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]
        for study in islice(waiting, max(0, window - len(at_work))):
            at_work[_read.remote(study, given)] = study
        if not at_work:
            return
        (done,), _ = ray.wait(list(at_work), num_returns=1)
        study = at_work.pop(done)
        try:
            read: StudyRead = ray.get(done)
        except RayTaskError as error:  # a study's own faults are rows: this is a node without model or code
            raise error.as_instanceof_cause() from error  # type: ignore[no-untyped-call]
        except RayError:
            yield Died(study)
            continue
        parts.write(study, read)
        yield Done(study, read.readings.num_rows, len(read.failures))


@ray.remote(num_cpus=1, max_retries=_RETRIES)
def _read(study: Study, setup: Setup) -> StudyRead:
    """A study on whatever node has room; each process loads its network once."""
    global _worker  # noqa: PLW0603 - Ray's processes live on from task to task, and hand them nothing else
    if _worker is None or _worker.setup != setup:
        _worker = Worker(setup)
    return _worker.read(study)
