"""Who gets to which page of the admin."""

import pytest
from django.urls import reverse

from accounts import roles
from catalog.models import Category, OriginalImage, Product, Segment, Size, Tag
from similarity import pipeline, services
from similarity.models import Embedder, IndexBuild, Query, Run
from tests.admin import send
from tests.conftest import person
from tests.shop import add_product

CATALOGUE = ["category", "tag", "size", "product", "originalimage", "segment"]
OPERATIONS = ["run", "indexbuild", "embedder"]
MODELS = [f"catalog_{name}" for name in CATALOGUE] + [f"similarity_{name}" for name in OPERATIONS]
ACCOUNTS = ["accounts_user", "auth_group"]


@pytest.fixture
def shop(db):
    """Something of everything that the admin shows."""
    add_product("RED", "red", category="Dresses", tags=["floral"], sizes=["M"])
    run = services.start_rebuild()
    pipeline.execute(run.pk)


def first(model):
    app, name = model.split("_")
    models = (Category, Tag, Size, Product, OriginalImage, Segment, Run, IndexBuild, Embedder)
    known = {kind._meta.label_lower: kind for kind in models}
    return known[f"{app}.{name}"].objects.first().pk


def pages_of(model):
    return [
        reverse(f"admin:{model}_changelist"),
        reverse(f"admin:{model}_change", args=[first(model)]),
    ]


@pytest.mark.parametrize("who", ["stranger", "shopper"])
@pytest.mark.parametrize("model", MODELS)
def test_whoever_is_no_colleague_is_asked_to_sign_in(shop, request, who, model):
    for url in pages_of(model):
        response = request.getfixturevalue(who).get(url)
        assert response.status_code == 302
        assert response.url.startswith(reverse("admin:login"))


@pytest.mark.parametrize("who", ["stranger", "shopper"])
def test_no_colleague_no_index_page(request, who):
    assert request.getfixturevalue(who).get(reverse("admin:index")).status_code == 302


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("who", ["merchandiser", "staff", "administrator"])
def test_colleagues_see_what_their_role_is_for(shop, request, who, model):
    allowed = who != "merchandiser" or model.startswith("catalog")
    for url in pages_of(model):
        response = request.getfixturevalue(who).get(url)
        assert response.status_code == (200 if allowed else 403), url


@pytest.mark.parametrize("who", ["merchandiser", "staff"])
@pytest.mark.parametrize("model", ACCOUNTS)
def test_only_an_administrator_sees_users_and_groups(request, administrator, who, model):
    url = reverse(f"admin:{model}_changelist")
    assert request.getfixturevalue(who).get(url).status_code == 403
    assert administrator.get(url).status_code == 200


def test_a_merchandiser_cannot_become_more(merchandiser):
    url = reverse("admin:accounts_user_change", args=[merchandiser.user.pk])
    assert send(merchandiser, url, {"is_superuser": "on"}).status_code == 403
    merchandiser.user.refresh_from_db()
    assert not merchandiser.user.is_superuser


@pytest.mark.parametrize("model", ["product", "originalimage", "category", "tag", "size"])
@pytest.mark.parametrize("who", ["merchandiser", "staff"])
def test_colleagues_may_add_to_the_catalogue(request, who, model):
    page = request.getfixturevalue(who).get(reverse(f"admin:catalog_{model}_add"))
    assert page.status_code == 200


@pytest.mark.parametrize(
    "model", ["catalog_segment", "similarity_run", "similarity_indexbuild", "similarity_embedder"]
)
def test_not_even_an_administrator_writes_what_the_work_writes(shop, administrator, model):
    assert administrator.get(reverse(f"admin:{model}_add")).status_code == 403
    change = reverse(f"admin:{model}_change", args=[first(model)])
    assert send(administrator, change, {}).status_code == 403


def test_the_photos_that_shoppers_search_with_have_no_page(administrator):
    assert Query._meta.verbose_name_plural not in administrator.get("/admin/").content.decode()
    assert administrator.get("/admin/similarity/query/").status_code == 404


def test_the_list_of_users_tells_their_roles(administrator):
    for number in range(5):
        person(f"m{number}", roles.MERCHANDISER, is_staff=True)
    person("sam")
    page = administrator.get(reverse("admin:accounts_user_changelist")).content.decode()
    assert page.count('<td class="field-roles">Merchandiser</td>') == 5
    assert '<td class="field-roles">Shopper</td>' in page
    assert '<td class="field-roles">Administrator</td>' in page


def test_the_runs_of_a_deleted_user_go_on_without_a_name(administrator):
    user = person("sam")
    Run.objects.create(kind=Run.Kind.UPLOAD, requested_by=user)
    url = reverse("admin:accounts_user_delete", args=[user.pk])
    assert send(administrator, url, {"post": "yes"}).status_code == 302
    assert Run.objects.get().requested_by is None
