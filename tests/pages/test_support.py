"""The support page: questions with answers, and a form for the others."""

import pytest

from accounts.models import Enquiry

ASKED = {"email": "sam@shop.example", "text": "Where is my parcel?"}


def test_the_questions_and_their_answers_are_there(stranger, db, settings):
    settings.QUERY_LIFETIME_DAYS = 12
    text = stranger.get("/support/").text
    assert "What happens to my photo?" in text
    assert "12 days" in text


def test_every_page_leads_to_it(stranger, db):
    assert 'href="/support/"' in stranger.get("/").text


def test_questions_are_found_by_all_of_their_words(stranger, db):
    found = stranger.get("/support/", {"q": "ZIP data"}).context["questions"]
    assert [question.text for question in found] == ["Can I take my data with me?"]


def test_no_answer_says_so(stranger, db):
    response = stranger.get("/support/", {"q": "<parcel>"})
    assert "No answer has all of these words" in response.text
    assert "&lt;parcel&gt;" in response.text


def test_a_stranger_s_question_is_kept(stranger, db):
    response = stranger.post("/support/", ASKED, format="multipart", follow=True)
    assert "We answer by e-mail." in response.text
    enquiry = Enquiry.objects.get()
    assert (enquiry.email, enquiry.text, enquiry.person) == (*ASKED.values(), None)


def test_who_has_signed_in_is_known_and_need_not_type_an_address(shopper):
    shopper.user.email = "sam@shop.example"
    shopper.user.save()
    assert 'value="sam@shop.example"' in shopper.get("/support/").text
    shopper.post("/support/", ASKED, format="multipart")
    assert Enquiry.objects.get().person == shopper.user


def test_it_goes_with_the_account(shopper):
    shopper.post("/support/", ASKED, format="multipart")
    shopper.user.delete()
    assert not Enquiry.objects.exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"email": "nothing"}, "valid email address"),
        ({"text": ""}, "required"),
        ({"text": "x" * 4001}, "at most 4000 characters"),
    ],
)
def test_what_cannot_be_answered_is_not_kept(stranger, db, changes, said):
    response = stranger.post("/support/", ASKED | changes, format="multipart")
    assert said in response.text
    assert not Enquiry.objects.exists()
