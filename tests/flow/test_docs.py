"""The documents name what there is."""

import re
import shlex
from pathlib import Path

import pytest
import typer

import hipsono
from serving.schema import ReadingBody
from tests.flow.conftest import ROOT

PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))


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
    for page in PAGES:
        for target, place in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text()):
            if "://" not in target:
                there = page.parent / target if target else page
                assert there.exists(), f"{page.name}: {target}"
                assert not place or place in anchors(there), f"{page.name}: {target}#{place}"


def anchors(page):
    """Of the headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def commands(page):
    """What a page tells to type: lines of its blocks that begin with the program, joined where they are broken."""
    for kind, block in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        if kind not in ("", "sh", "bash"):
            continue
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|\|", line.partition(" #")[0]):
                if part.strip().startswith("hipsono "):
                    yield part.strip()


@pytest.mark.parametrize("page", [one for one in PAGES if any(commands(one))], ids=lambda page: page.name)
def test_every_command_of_a_page_can_be_typed(page):
    """Verbs, options and recipes of a page are those of the program."""
    for command in commands(page):
        words = re.split(r" [<>] ?", re.sub(r"[\[\]]", "", command))[0].replace(" ...", "")
        check_words(typer.main.get_command(hipsono.app), shlex.split(words)[1:], command)
        for recipe in re.findall(r"training/recipes/\S+", words):
            assert Path(ROOT / recipe).exists(), command


def check_words(verb, words, command):
    while hasattr(verb, "commands") and words and not words[0].startswith("-"):
        assert words[0] in verb.commands, command
        verb, words = verb.commands[words[0]], words[1:]
    try:
        told, _, _ = verb.make_parser(verb.context_class(verb)).parse_args(list(words))
    except Exception as error:  # typer brings a click of its own
        raise AssertionError(f"{command}: {error}") from error
    assert [one.name for one in verb.params if one.required and told.get(one.name) is None] == [], command
