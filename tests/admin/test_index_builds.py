"""Index builds in the admin: looking, rebuilding, rolling back."""

import shutil

import pytest
from django.core.management import call_command

from similarity import indexing, pipeline, services
from similarity.models import IndexBuild, Run
from tests.admin import act, told
from tests.shop import add_product

LIST = "/admin/similarity/indexbuild/"
REBUILD = f"{LIST}rebuild/"


def page_of(build):
    return f"{LIST}{build.pk}/change/"


def serve(client, *builds):
    return act(client, LIST, "serve", *builds)


@pytest.fixture
def builds(db):
    """An older build and the one that serves."""
    add_product("D-1")
    for _ in range(2):
        pipeline.execute(services.start_rebuild().pk)
    return list(IndexBuild.objects.order_by("pk"))


def test_the_list_marks_the_build_that_serves(staff, builds):
    page = staff.get(LIST).content.decode()
    assert page.count('<span class="badge badge-serving">Serving</span>') == 1
    assert page.count('<span class="badge badge-ready">Ready</span>') == 1
    assert builds[0].name in page
    assert page.count(f"1.000 in {builds[0].search_ms:.2f} ms") >= 1


def test_staff_roll_back(staff, builds):
    older, newer = builds
    assert told(serve(staff, older)) == [f"{older}: It serves now."]
    assert indexing.is_serving(older)
    assert not indexing.is_serving(newer)


def test_a_build_that_is_gone_is_refused_and_the_other_serves_on(staff, builds, settings):
    older, newer = builds
    shutil.rmtree(next(settings.INDEX_DIR.rglob(older.name)))
    [message] = told(serve(staff, older))
    assert message.startswith(f"{older}: ")
    assert indexing.is_serving(newer)


def test_exactly_one_build_serves(staff, builds):
    older, newer = builds
    assert told(serve(staff, older, newer)) == ["Choose exactly one build to serve."]
    assert indexing.is_serving(newer)


def test_only_a_build_that_could_serve_has_the_button(staff, builds):
    older, newer = builds
    failed = IndexBuild.objects.create(embedder=newer.embedder, state="failed", engine="exact")
    offered = [build for build in (older, newer, failed) if _has_button(staff, build)]
    assert offered == [older]


def _has_button(client, build):
    return 'value="serve"' in client.get(page_of(build)).content.decode()


def test_staff_have_the_index_rebuilt(staff):
    response = staff.post(REBUILD)
    assert response.url == LIST
    run = Run.objects.get(kind=Run.Kind.REBUILD)
    assert run.requested_by == staff.user
    assert f"/admin/similarity/run/{run.pk}/" in told(response)[0]


def test_a_link_does_not_rebuild(staff):
    assert staff.get(REBUILD).status_code == 405
    assert not Run.objects.exists()


def test_a_merchandiser_is_refused(merchandiser, builds):
    older, newer = builds
    assert serve(merchandiser, older).status_code == 403
    assert merchandiser.post(REBUILD).status_code == 403
    assert indexing.is_serving(newer)
    assert Run.objects.filter(state=Run.State.PENDING).count() == 0


def test_who_may_only_look_has_no_buttons(staff, builds):
    group = staff.user.groups.get()
    group.permissions.remove(group.permissions.get(codename="rebuild_index"))
    assert "Rebuild now" not in staff.get(LIST).content.decode()
    assert not _has_button(staff, builds[0])


@pytest.mark.parametrize("who", ["stranger", "shopper"])
def test_whoever_is_no_colleague_rebuilds_nothing(request, who):
    assert request.getfixturevalue(who).post(REBUILD).status_code == 302
    assert not Run.objects.exists()


def test_a_builds_page_tells_what_the_last_check_has_found(staff, builds):
    assert "vectors compared" not in staff.get(page_of(builds[1])).content.decode()
    call_command("index_check")
    assert "1 vectors compared with the database, 0 are wrong" in (
        staff.get(page_of(builds[1])).content.decode()
    )


def test_builds_are_compared_by_what_each_measured(staff, builds):
    IndexBuild.objects.filter(pk=builds[0].pk).update(recall=0.912, search_ms=1.25)
    page = act(staff, LIST, "compare", *builds).content.decode()
    assert "<td>0.912</td>" in page
    assert "<td>1.25 ms</td>" in page
    [refusal] = told(act(staff, LIST, "compare", builds[0]))
    assert refusal == "Choose two builds or more to compare."


def test_the_list_tells_how_far_a_rebuild_is(staff, db):
    run = services.start_rebuild()
    assert "A rebuild waits" in staff.get(LIST).content.decode()
    Run.objects.filter(pk=run.pk).update(state="running", step="building", progress=0.5)
    page = staff.get(LIST).content.decode()
    assert '<progress value="0.500"' in page
    assert f"/admin/similarity/run/{run.pk}/change/" in page
