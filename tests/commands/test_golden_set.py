"""`manage.py golden_set`, and what measures by golden sets: evaluate_embedder, switch_model."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command

from accounts.roles import MERCHANDISER
from similarity import golden, services, serving
from similarity.models import GoldenQuery, GoldenSet, Switch, Verdict
from tests.admin import act
from tests.conftest import person
from tests.pictures import photo
from tests.pipeline.backends import HERE
from tests.shop import add_product

pytestmark = pytest.mark.django_db
OTHER = f"{HERE}:ThumbnailEmbedder"


@pytest.fixture
def mona():
    return person("mona", MERCHANDISER, is_staff=True)


@pytest.fixture
def marked(mona) -> GoldenSet:
    """A red photo is to find what is red and not what is pink; what is red, what is pink."""
    red, pink = add_product("RED", "red"), add_product("PINK", "pink")
    add_product("GREEN", "green")
    by_photo = services.search_photo(photo("red", seed=4), limit=3, asked_by=mona)
    golden.mark(by_photo, red.image.product, True, name="colours", by=mona)
    golden.mark(by_photo, pink.image.product, False, name="colours", by=mona)
    by_garment = services.search(segment=red, limit=3, asked_by=mona)
    golden.mark(by_garment, pink.image.product, True, name="colours", by=mona)
    return GoldenSet.objects.get()


def said(golden_set):
    rows = Verdict.objects.filter(query__golden_set=golden_set)
    return sorted(rows.values_list("query__key", "product__reference", "is_right", "given_at"))


def test_a_set_comes_back_from_its_file_as_it_was(marked, tmp_path, capsys):
    file = tmp_path / "colours.jsonl"
    call_command("golden_set", "export", "colours", str(file))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [sorted(line) for line in lines] == [
        ["box", "key", "photo", "results"],
        ["results", "segment"],
    ]
    assert lines[1]["results"][0]["by"] == "mona"
    call_command("golden_set", "import", "again", str(file))
    again = GoldenSet.objects.get(name="again")
    assert said(again) == said(marked)
    call_command("golden_set", "import", "again", str(file))
    assert said(again) == said(marked)
    assert GoldenQuery.objects.filter(golden_set=again).count() == 2
    assert golden.measure(again, serving.serving_embedder()).queries == 2
    again.delete()
    assert golden.measure(marked, serving.serving_embedder()).queries == 2
    capsys.readouterr()
    call_command("golden_set", "list")
    assert "colours: 3 results of 2 queries marked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("夏", "filename*=utf-8''%E5%A4%8F.jsonl"),
        ('the "best"', 'filename="the \\"best\\".jsonl"'),
    ],
)
def test_a_set_is_downloaded_under_its_name_whatever_its_letters(merchandiser, name, sent):
    golden_set = GoldenSet.objects.create(name=name)
    response = act(merchandiser, "/admin/similarity/goldenset/", "export", golden_set)
    assert response["Content-Disposition"] == f"attachment; {sent}"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "not a line"),
        ("[]", "not a line"),
        ('{"results": []}', "not a line"),
        ('{"segment": "gone", "results": []}', "no garment 'gone'"),
        ('{"photo": "AAAA", "results": []}', "photo cannot be read"),
        ('{"photo": "?", "results": []}', "photo cannot be read"),
        (
            '{"segment": "x", "results": [{"product": "GONE", "right": true, "at": "2026-01-01"}]}',
            "no product 'GONE'",
        ),
    ],
)
def test_a_line_that_does_not_fit_is_told_and_keeps_no_other_out(
    marked, tmp_path, capsys, line, complaint
):
    file = tmp_path / "set.jsonl"
    file.write_text(f"{line}\n" + "".join(golden.export(marked)))
    with pytest.raises(CommandError, match="1 lines"):
        call_command("golden_set", "import", "new", str(file))
    printed = capsys.readouterr()
    assert complaint in printed.err
    assert "3 marked results" in printed.out


def test_an_unknown_set_and_an_odd_name_are_refused(marked, tmp_path):
    with pytest.raises(CommandError, match="There is: colours"):
        call_command("golden_set", "export", "other", str(tmp_path / "file"))
    (tmp_path / "empty").write_text("")
    with pytest.raises(CommandError, match="Use letters"):
        call_command("golden_set", "import", "a b", str(tmp_path / "empty"))


def test_an_embedder_is_measured_as_shoppers_meet_it(marked):
    figures = golden.measure(marked, serving.serving_embedder())
    assert figures.queries == 2
    assert (figures.recall_at_1, figures.recall_at_10) == (1.0, 1.0)
    assert figures.ndcg_at_10 == pytest.approx(1.0)
    # By the photo three results, two of them marked, one wrong; by the garment two, one marked.
    assert figures.wrong_at_10 == pytest.approx(1 / 6)
    assert figures.marked_at_10 == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_evaluate_embedder_takes_a_golden_set(marked, tmp_path, capsys):
    call_command("evaluate_embedder", golden="colours", json=tmp_path / "figures.json")
    printed = capsys.readouterr().out
    assert "golden set colours" in printed
    assert "nDCG@10" in printed
    saved = json.loads((tmp_path / "figures.json").read_text())
    assert saved["measures"]["colours"]["colour"]["recall_at_1"] == 1.0


def test_it_refuses_an_embedder_that_has_not_described_the_catalogue(marked):
    with pytest.raises(CommandError, match="has not described 3 garments"):
        call_command("evaluate_embedder", golden="colours", embedder=OTHER)


def test_a_switch_shows_both_by_the_golden_set_before_it_is_made(marked, capsys):
    call_command("embed_catalogue", embedder=OTHER)
    capsys.readouterr()
    call_command("switch_model", OTHER, yes=True)
    printed = capsys.readouterr().out
    assert printed.index("golden set colours") < printed.index("serves now")
    comparison = Switch.objects.get().comparison
    assert comparison["golden_set"] == "colours"
    assert [figures["queries"] for figures in comparison["by_golden_set"]] == [2, 2]


def test_of_several_sets_one_has_to_be_named(marked, capsys):
    golden.named("other")
    call_command("embed_catalogue", embedder=OTHER)
    call_command("switch_model", OTHER, yes=True)
    assert "golden set" not in capsys.readouterr().out
    call_command("switch_model", back=True)
    call_command("switch_model", OTHER, yes=True, golden="colours")
    assert "golden set colours" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no golden set"):
        call_command("switch_model", "colour", yes=True, golden="gone")
