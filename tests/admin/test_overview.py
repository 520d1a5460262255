"""What the admin opens with."""

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import OriginalImage
from fashionsim.staff.plots import HEIGHT, bar_plot
from similarity import backends, pipeline, services
from similarity.figures import Day
from similarity.models import Run, SearchDay
from tests.pictures import photo
from tests.shop import add_photo, add_product

URL = "/admin/"


@pytest.fixture
def shop(db):
    segment = add_product("D-1", "red", name="Red dress")
    add_product("D-2", "blue", name="Blue dress")
    return segment


def test_it_tells_the_size_of_the_catalogue(merchandiser, shop):
    page = merchandiser.get(URL).content.decode()
    for words in ("Products", "Pictures", "Garments"):
        assert f"{words}</a></dt><dd>2</dd>" in page


def test_pictures_that_failed_are_shown_with_the_reason(merchandiser, shop):
    OriginalImage.objects.filter(pk=shop.image.pk).update(status="failed", problem="It is cut off.")
    page = merchandiser.get(URL).content.decode()
    assert "It is cut off." in page
    assert f"/admin/catalog/originalimage/{shop.image.pk}/change/" in page
    assert f"/api/v1/images/{shop.image.identifier}/file/?width=160" in page


def test_searches_of_the_last_30_days_are_drawn_and_told_in_a_table(merchandiser, shop):
    today = timezone.localdate()
    SearchDay.objects.create(day=today, searches=30, poor=3)
    SearchDay.objects.create(day=today - dt.timedelta(days=29), searches=10, poor=7)
    SearchDay.objects.create(day=today - dt.timedelta(days=30), searches=500)
    response = merchandiser.get(URL)
    page = response.content.decode()
    assert '<desc id="plot-text">40 searches in 30 days, of which 10 found nothing good.' in page
    assert "<strong>25 %</strong>" in page
    assert page.count('<th scope="row">') == 30
    assert len(response.context["searches"].bars) == 30


def test_a_search_is_counted_and_one_without_a_good_result_as_such(
    shop, settings, django_capture_on_commit_callbacks
):
    settings.GOOD_SIMILARITY = -1.0
    with django_capture_on_commit_callbacks(execute=True):
        services.search(segment=shop, limit=3)
    settings.GOOD_SIMILARITY = 1.0
    with django_capture_on_commit_callbacks(execute=True):
        services.search(segment=shop, limit=3)
        services.search_photo(photo("green"), limit=3, filters={"brand": ["Nobody"]})
    day = SearchDay.objects.get()
    assert (day.day, day.searches, day.poor) == (timezone.localdate(), 3, 2)


def test_what_is_forgotten_stays_counted(shop, shopper, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        run = services.search(segment=shop, limit=3, asked_by=shopper.user)
    services.forget_search(run)
    assert SearchDay.objects.get().searches == 1


def test_what_was_found_first_most_often_leads(merchandiser, shop):
    blue = add_photo(photo("green"))
    for _ in range(3):
        services.search(segment=blue, limit=1)
    page = merchandiser.get(URL).content.decode()
    assert "The best answer to 3 searches" in page


def test_staff_see_the_index_and_the_queue(staff, shop):
    pipeline.execute(services.start_rebuild().pk)
    services.start_upload(services.take_in(photo("green")))
    page = staff.get(URL).content.decode()
    assert "2 garments in it, 0 newer" in page
    assert "1, the first for" in page


def test_missing_weights_are_told_and_no_error(staff, shop, settings):
    settings.EMBEDDER = "mobilenet_v2"
    settings.BACKEND_OPTIONS = settings.BACKEND_OPTIONS | {
        "mobilenet_v2": {"models_dir": settings.MEDIA_ROOT, "device": "cpu"}
    }
    backends.forget()
    response = staff.get(URL)
    assert response.status_code == 200
    assert response.context["index"].problem


def test_a_merchandiser_sees_neither_index_nor_queue(merchandiser, shop):
    context = merchandiser.get(URL).context
    assert "index" not in context
    assert "queue" not in context
    assert "size" in context


def test_who_may_see_nothing_is_shown_nothing(merchandiser, shop):
    merchandiser.user.groups.clear()
    context = merchandiser.get(URL).context
    for name in ("size", "searches", "looked_up", "pictures", "undecided", "index", "queue"):
        assert name not in context


def test_it_asks_as_many_queries_for_a_large_shop_and_fewer_when_it_is_asked_again(staff, shop):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert staff.get(URL).status_code == 200
        return len(captured)

    first = queries()
    for number in range(6):
        add_product(f"P-{number}", seed=number)
    Run.objects.create(kind=Run.Kind.REBUILD, state="failed")
    again = queries()
    assert again < first
    assert first < 40
    table = f"FROM {connection.ops.quote_name('catalog_product')}"
    with CaptureQueriesContext(connection) as captured:
        staff.get(URL)
    assert not [query for query in captured if table in query["sql"]]


@pytest.mark.parametrize(("most", "top"), [(0, 4), (3, 4), (5, 8), (9, 20), (21, 40), (4100, 8000)])
def test_a_plot_s_lines_stand_for_numbers_that_read_well(most, top):
    plot = bar_plot([Day(dt.date(2026, 11, 1), most, 0)])
    assert plot.lines[-1].value == top
    assert all(0 <= bar.y <= HEIGHT for bar in plot.bars)


def test_what_people_work_in_all_day_is_listed_first(staff, shop):
    apps = staff.get(URL).context["app_list"]
    assert [app["app_label"] for app in apps[:2]] == ["catalog", "similarity"]
    assert apps == sorted(apps, key=lambda app: app["app_label"] in {"axes", "auth", "auditlog"})
