"""Help: questions that are often asked, and a form for the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.generic import CreateView

from accounts.forms import EnquiryForm


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    answer: str

    def has(self, words: str) -> bool:
        """Whether each of the words stands in it somewhere."""
        everything = f"{self.text} {self.answer}".casefold()
        return all(word in everything for word in words.casefold().split())


def questions() -> list[Question]:
    """What is often asked, with answers that are true of this shop's settings."""
    size = filesizeformat(settings.MAX_UPLOAD_BYTES)
    days = settings.QUERY_LIFETIME_DAYS
    return [
        Question(
            _("Which photo works best?"),
            _(
                "One in which the garment is large, sharp and in daylight, worn or laid flat. If "
                "the photo shows more than that, choose the garment in it, or draw a box around it."
            ),
        ),
        Question(
            _("Which files can I use?"),
            _("JPEG, PNG, WebP, HEIC from a phone, AVIF, GIF, BMP and TIFF, up to %(size)s.")
            % {"size": size},
        ),
        Question(
            _("Can I search with one garment of my photo?"),
            _(
                "Yes. The garments that were found have numbers: press one, or draw a box of your "
                "own. “All garments” shows what the shop has like each of them."
            ),
        ),
        Question(
            _("What do the words beside a result mean?"),
            _(
                "They say how alike two pictures are, from “loosely similar” to “very close”. The "
                "number is the cosine of the two vectors: 1 is the very same picture. It says "
                "nothing of quality, fabric or fit."
            ),
        ),
        Question(
            _("Why do I see nothing, or nothing like it?"),
            _(
                "The shop may have nothing of that kind, or the filters leave nothing. Take a "
                "filter away, or choose another part of the photo."
            ),
        ),
        Question(
            _("What happens to my photo?"),
            ngettext(
                "It is kept for your search alone, without its place and camera, and deleted after "
                "%(days)s day. Nobody else can see it, and no model learns from it.",
                "It is kept for your search alone, without its place and camera, and deleted after "
                "%(days)s days. Nobody else can see it, and no model learns from it.",
                days,
            )
            % {"days": days},
        ),
        Question(
            _("How do I delete my searches?"),
            _(
                "Your history has a button to delete one and a button to delete all; the photos go "
                "with them. Deleting your account deletes everything that is kept about you."
            ),
        ),
        Question(
            _("Can I take my data with me?"),
            _("Yes: your account page offers all of it as a ZIP file."),
        ),
        Question(
            _("I have forgotten my password."),
            _("Choose “Forgotten password” where you sign in: an e-mail brings you a link."),
        ),
        Question(
            _("Can my own program search?"),
            _(
                "Yes, by the API; its description is at /api/docs/. A shop's program gets a key "
                "from the people who run the shop."
            ),
        ),
    ]


class Support(CreateView):  # type: ignore[type-arg]  # generic in the stubs only
    template_name = "support.html"
    form_class = EnquiryForm
    success_url = reverse_lazy("support")

    def get_initial(self) -> dict[str, Any]:
        return {"email": getattr(self.request.user, "email", "")}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        words = self.request.GET.get("q", "").strip()
        found = [question for question in questions() if question.has(words)]
        return super().get_context_data(words=words, questions=found, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        if self.request.user.is_authenticated:
            form.instance.person = self.request.user
        messages.success(self.request, _("Thank you. We answer by e-mail."))
        return super().form_valid(form)
