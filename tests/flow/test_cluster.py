"""An archive over a real Ray cluster of three nodes, one of them killed on the way: the same tables."""

import threading

import pytest

from datasets.dicom_write import write_dicom
from datasets.phantom.cine import cine
from model.anatomy import HIP_VIEWS
from serving.archive.run import Job, grade

ray = pytest.importorskip("ray", reason="no ray: install the extra `cluster`")
from ray.cluster_utils import Cluster  # noqa: E402

TABLES = ("readings", "hips", "failures")


def contents(out):
    return {table: (out / f"{table}.parquet").read_bytes() for table in TABLES}


@pytest.fixture
def cluster():
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield made
    ray.shutdown()
    made.shutdown()


def test_a_node_lost_on_the_way_costs_time_and_no_result(cluster, tmp_path):
    archive = tmp_path / "archive"
    for k in range(12):
        write_dicom(list(cine(3_220_000 + k, HIP_VIEWS[k % 3], 3)), archive / f"{k:02d}.dcm")
    (archive / "cut.dcm").write_bytes((archive / "00.dcm").read_bytes()[:4000])
    grade(Job(archive, tmp_path / "local", workers=2), lambda _: None)

    nodes = [cluster.add_node(num_cpus=1) for _ in range(3)]
    lost = threading.Event()

    def lose_one(progress):
        if progress.parts == 2 and not lost.is_set():
            cluster.remove_node(nodes[0], allow_graceful=False)
            lost.set()

    job = Job(archive, tmp_path / "cluster", ray=cluster.address)
    outcome = grade(job, lambda _: None, lose_one)
    assert lost.is_set()
    assert outcome.read_now == 36
    assert contents(tmp_path / "cluster") == contents(tmp_path / "local")
