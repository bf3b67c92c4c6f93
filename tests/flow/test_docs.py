"""The documents name what there is."""

import re

from serving.schema import ReadingBody
from tests.flow.conftest import ROOT


def fields(model):
    """Names of all fields of a schema's body and of the bodies in it."""
    definitions = model.model_json_schema(by_alias=True)
    for body in (definitions, *definitions["$defs"].values()):
        yield from body.get("properties", ())


def test_every_field_of_a_reading_is_explained():
    told = set(
        re.findall(r"[a-z_0-9]+", " ".join(re.findall(r"`([^`]+)`", (ROOT / "docs" / "reading.md").read_text())))
    )
    assert set(fields(ReadingBody)) <= told


def test_links_within_the_documents_lead_somewhere():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
