"""What people have asked, in the admin."""

import pytest
from django.urls import reverse

from accounts.models import Enquiry
from tests.admin import act, told

LIST = reverse("admin:accounts_enquiry_changelist")


@pytest.fixture
def enquiry(db):
    return Enquiry.objects.create(email="sam@shop.example", text="Where is my parcel?")


def test_staff_read_what_was_asked(staff, enquiry):
    assert "Where is my parcel?" in staff.get(LIST).content.decode()
    page = staff.get(reverse("admin:accounts_enquiry_change", args=[enquiry.pk]))
    assert "sam@shop.example" in page.content.decode()


def test_what_was_answered_is_marked_once(staff, enquiry):
    assert told(act(staff, LIST, "mark_answered", enquiry)) == ["1 marked as answered."]
    enquiry.refresh_from_db()
    answered = enquiry.answered_at
    assert answered is not None
    assert told(act(staff, LIST, "mark_answered", enquiry)) == ["0 marked as answered."]
    enquiry.refresh_from_db()
    assert enquiry.answered_at == answered


def test_merchandisers_have_no_business_with_it(merchandiser, enquiry):
    assert merchandiser.get(LIST).status_code == 403
