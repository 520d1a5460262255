"""The search page with words and examples, as a browser without JavaScript uses it."""

import re
from html import unescape

import pytest

from similarity import backends, pipeline
from tests.pages.test_home import names, send
from tests.pictures import as_file, photo
from tests.shop import add_product


@pytest.fixture
def shop(db):
    for colour, name in (("red", "Midi dress"), ("pink", "Gown"), ("blue", "Mini dress")):
        add_product(colour.upper(), colour, name=name, tags=["floral"] if name == "Gown" else [])


def fields_of(response, form: str) -> dict[str, list[str]]:
    """The hidden fields of the form on the page that begins with that mark."""
    markup = response.text[response.text.index(form) :].partition("</form>")[0]
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'type="hidden" name="([\w.]+)" value="([^"]*)"', markup):
        found.setdefault(name, []).append(unescape(value))
    found.pop("csrfmiddlewaretoken", None)
    return found


def press(client, response, button: str):
    """Press a button of the results: "like" or "unlike", of the card that comes first."""
    first = response.context["cards"][0].segment.identifier
    fields = fields_of(response, 'id="refine"')
    assert f'form="refine" name="{button}" value="{first}"' in response.text
    return send(client, **fields | {button: [*fields.get(button, []), first]})


def test_the_page_takes_words(stranger, shop):
    response = send(stranger, image="", text="dresses", limit="24")
    assert names(response) == ["Midi dress", "Mini dress"]
    assert "2 pieces for “dresses”" in response.text
    assert "Says dresses" in response.text
    assert 'value="dresses"' in response.text, "to be changed"
    assert "Loosely similar" not in response.text


def test_words_narrow_a_photo_s_results_and_are_kept(stranger, shop):
    query = send(stranger, image=as_file(photo("blue", seed=5))).context["query"]
    response = send(stranger, query=query.pk, text="midi", without="floral")
    assert names(response) == ["Mini dress", "Midi dress"] or names(response)[0] == "Midi dress"
    assert "Gown" not in names(response)
    filters = fields_of(response, 'aria-label="Words"')
    assert filters["query"] == [str(query.pk)]
    assert "text" not in filters, "a field of its own"
    again = send(stranger, **fields_of(response, 'id="refine"'))
    options = again.context["run"].options
    assert (options["text"], options["without"]) == ("midi", "floral")


def test_more_and_less_like_a_result_refine_the_list(stranger, shop):
    response = send(stranger, image=as_file(photo("red", seed=5)), text="dress")
    liked = response.context["cards"][0]
    more = press(stranger, response, "like")
    assert liked.title not in names(more)
    assert "More like this" in more.text
    less = press(stranger, more, "unlike")
    options = less.context["run"].options
    assert options["like"] == [liked.segment.identifier]
    assert options["unlike"] == [more.context["cards"][0].segment.identifier]
    assert options["text"] == "dress"
    assert len(less.context["examples"]) == 2


def test_an_example_can_be_taken_back(stranger, shop):
    response = press(stranger, send(stranger, text="dress"), "like")
    (example,) = response.context["examples"]
    back = send(stranger, **fields_of(response, 'class="examples"'))
    assert back.context["examples"] == []
    assert names(back) == ["Midi dress", "Mini dress"]
    alone = send(stranger, like=example.segment.identifier)
    assert "Start again" in alone.text
    assert "Take back" not in alone.text


def test_words_that_find_nothing_say_what_to_try(stranger, shop):
    response = send(stranger, text="zeppelin")
    assert "nothing that fits these words" in response.text


@pytest.mark.parametrize("text", ["!!!", "x" * 201])
def test_words_that_will_not_do_are_refused_and_stay_typed(stranger, shop, text):
    response = send(stranger, text=text)
    assert response.status_code == 400
    assert "Words need letters or digits" in response.text
    assert f'value="{text}"' in response.text


def test_markup_among_the_words_stays_text(stranger, shop):
    response = send(stranger, text="<script>alert('dress')</script>")
    assert "<script>alert" not in response.text
    assert "&lt;script&gt;" in response.text


def test_the_history_shows_the_words(shopper, shop):
    send(shopper, text="floral gown")
    assert "“floral gown”" in shopper.get("/history/").text


def test_a_slow_search_with_words_goes_on_with_them(stranger, shop, use):
    use("EMBEDDER", "ColourByWorker")
    waiting = send(stranger, image=as_file(photo("red")), text="midi")
    pipeline.execute(waiting.context["run"].pk)
    done = stranger.get("/", {"search": waiting.context["run"].pk})
    assert names(done) == ["Midi dress"]


def test_how_alike_a_picture_is_to_words_is_not_said(stranger, shop, settings):
    settings.EMBEDDER = "tests.api.texts:ColourWords"
    backends.forget()
    add_product("BLUISH", "blue", seed=3, name="Coat")
    words = send(stranger, text="blue")
    assert names(words)[0] == "Coat"
    assert "Very close" not in words.text
    assert "Very close" in send(stranger, image=as_file(photo("blue", seed=4))).text
