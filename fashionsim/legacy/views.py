"""The old paths. Each asks a service, and says what it answers in the old words."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import services as accounts
from accounts.authentication import credentials_of
from accounts.errors import InvalidToken
from accounts.models import User
from accounts.permissions import HasHistory, IsPerson, MaySearch, needs
from accounts.providers import Tokens, provider
from accounts.serializers import RefreshSerializer, RegistrationSerializer, SignInSerializer
from accounts.throttles import RequestThrottle, SearchThrottle
from accounts.views import GUARDED, AuthView
from catalog.models import OriginalImage, Segment
from catalog.services import delete_segment
from fashionsim.legacy import answers
from fashionsim.legacy.answers import AlreadyThere, Failed, TooSlow
from fashionsim.legacy.serializers import (
    CHANGEABLE,
    CleanupSerializer,
    CropSerializer,
    ItemSerializer,
    RowSerializer,
    SearchSerializer,
    SplitSerializer,
    UploadSerializer,
)
from similarity import pipeline, services
from similarity.engine import Box
from similarity.engine.images import crop
from similarity.errors import AlreadyEnded, IdTaken, Refused
from similarity.models import Run
from similarity.serializers import photo_bytes
from similarity.views import asker

WAIT = 60.0
"""Seconds that an answer may take: the old clients know no other way to get it."""

USUAL_RESULTS = 5

ADD = "catalog.add_originalimage"
"""What the front end calls an administrator may do this."""


class LegacyView(AuthView):
    """Errors as `{"success": false, "message": ...}`. docs/legacy-api.md describes these paths."""

    schema = None
    authentication_classes = APIView.authentication_classes
    throttle_classes: Any = [RequestThrottle]
    missing = "Missing required parameters: {}"

    def get_exception_handler(self) -> Callable[..., Any]:
        return answers.explain

    def failure(self, message: str) -> dict[str, Any]:
        return {"success": False, "message": message, "data": None}


def success(message: str, **more: Any) -> Response:
    return Response({"success": True, "message": message, **more})


def unsuccessful(message: str, **more: Any) -> Response:
    """What could not be done though nobody is at fault: 200 in the old words."""
    return Response({"success": False, "message": message, **more})


def waited_for(run: Run) -> bool:
    """Whether a run is done, once it has ended; False if it was cancelled.

    Raises Failed, Refused or TooSlow.
    """
    services.wait_for(run, WAIT)
    if run.state == Run.State.FAILED:
        raise Failed if run.error_code in OURS else Refused(run.error_message)
    if run.cancel_requested or run.state == Run.State.CANCELLED:
        return False
    if run.state != Run.State.DONE:
        raise TooSlow
    return True


OURS = {"internal_error", "interrupted", "orphaned"}
"""Codes of failures that are no answer to what was asked."""


# --- Searching ------------------------------------------------------------------------------


class RelayView(LegacyView):
    """POST /relay_image"""

    permission_classes = [MaySearch]
    throttle_classes = [RequestThrottle, SearchThrottle]
    missing = "'{}' field is required"

    def failure(self, message: str) -> dict[str, Any]:
        return {"error": message}

    def post(self, request: Request) -> Response:
        """Search with a whole photo; the old service never looked for garments in it."""
        asked, person = self.asked(SearchSerializer), asker(request)
        run = services.search_photo(
            photo_bytes(asked["image_base64"]),
            limit=asked.get("num") or accounts.preferences_of(person).results or USUAL_RESULTS,
            detect=False,
            asked_by=person,
            pk=asked.get("request_id"),
        )
        try:
            if not waited_for(run):
                return Response({"status": "cancelled", "message": answers.CANCELLED})
        except TooSlow:
            stop(run)  # its results could not be asked for
            raise
        answer = {"request_id": str(run.pk), "results": answers.found_in(run)}
        if run.expires_at is not None:  # whoever asks wants no history
            services.forget_search(run)
        return Response(answer)


class SplittingView(LegacyView):
    """Finding the garments of a photo that is not kept."""

    throttle_classes = [RequestThrottle, SearchThrottle]

    def split(self, request: Request, *, whole: bool) -> tuple[str, list[str] | None]:
        """The request's id, and the garments' pictures (PNG in base64); None if it was cancelled.

        With `whole`, a photo in which nothing is found counts as one.
        """
        asked = self.asked(SplitSerializer)
        run = services.split_photo(
            photo_bytes(asked["image_base64"]), asked_by=asker(request), pk=asked.get("request_id")
        )
        query = run.query
        assert query is not None
        try:
            if not waited_for(run):
                return str(run.pk), None
            query.refresh_from_db()
            photo = pipeline.stored(query.file)
            boxes = [Box(*found["box"]) for found in query.detections or []]
            if not boxes and whole and asked["force_process"]:
                boxes = [Box.whole(photo)]
            return str(run.pk), [answers.as_png(crop(photo, box)) for box in boxes]
        finally:
            stop(run)  # if it is still at it, nobody waits any longer
            query.delete()


NOTHING_FOUND = "No garment was found in the picture."


class SplitView(SplittingView):
    """POST /image/split, of the search page"""

    permission_classes = [MaySearch]

    def post(self, request: Request) -> Response:
        pk, pictures = self.split(request, whole=False)
        if pictures is None:
            return unsuccessful(answers.CANCELLED, request_id=pk)
        if not pictures:
            return unsuccessful(NOTHING_FOUND)
        segments = [{"image_base64": f"data:image/png;base64,{picture}"} for picture in pictures]
        return success("The picture was split.", segments=segments)


class AdminSplitView(SplittingView):
    """POST /split_image, of the administrator's page"""

    permission_classes = [needs(ADD)]

    def post(self, request: Request) -> Response:
        pk, pictures = self.split(request, whole=True)
        if pictures is None:
            return unsuccessful(answers.CANCELLED, request_id=pk)
        if not pictures:
            return unsuccessful(NOTHING_FOUND, request_id=pk)
        segments = [
            {"segment_id": f"segment_{number}", "segment_base64": picture}
            for number, picture in enumerate(pictures)
        ]
        return success("The picture was split.", request_id=pk, data={"segments": segments})


# --- Uploading ------------------------------------------------------------------------------


class UploadingView(LegacyView):
    permission_classes = [needs(ADD)]

    def store(
        self, photo: str, name: str, pk: uuid.UUID | None, cut_out_by: str = ""
    ) -> Run | None:
        """The run that has described a new picture; None if it was cancelled.

        Raises AlreadyThere for bytes that are known, but for an upload that had failed.
        """
        person = asker(self.request)
        if pk is not None and (run := services.known_run(pk, Run.Kind.UPLOAD, person)):
            return run if waited_for(run) else None
        upload = services.upload_now(
            services.take_in(photo_bytes(photo)),
            source_name=name,
            owner=person,
            pk=pk,
            cut_out_by=cut_out_by,
        )
        if not upload.is_new and upload.image.status != OriginalImage.Status.FAILED:  # as it was
            raise AlreadyThere(upload.image)
        return upload.run if waited_for(upload.run) else None


class UploadView(UploadingView):
    """POST /upload_image"""

    def post(self, request: Request) -> Response:
        """Add a picture with all garments that are found in it."""
        asked = self.asked(UploadSerializer)
        name = asked.get("image_name") or f"uploaded_{int(time.time())}"
        run = self.store(asked["image_base64"], name, asked.get("request_id"))
        if run is None or run.image is None:
            return unsuccessful(answers.CANCELLED)
        found = run.image.segments.exclude(detector=Segment.NOTHING_FOUND)
        if not asked["force_process"] and not found.exists():
            run.image.delete()
            return unsuccessful(NOTHING_FOUND, request_id=str(run.pk))
        data = answers.stored(run.image)
        return success("The picture was stored.", request_id=str(run.pk), data=data)


class CropUploadView(UploadingView):
    """POST /upload_single_image"""

    def post(self, request: Request) -> Response:
        """Add one garment that somebody has chosen among those of a split photo."""
        asked = self.asked(CropSerializer)
        name = f"{asked['original_image_id']}_{asked['segment_id']}"
        return self.added(asked["image_base64"], name, asked.get("request_id"))

    def added(self, photo: str, name: str, pk: uuid.UUID | None = None) -> Response:
        run = self.store(photo, name, pk, cut_out_by="whole_image")
        if run is None or run.image is None:
            return unsuccessful(answers.CANCELLED)
        segments = answers.stored(run.image)["segments"]
        if len(segments) != 1:  # what the id stands for was uploaded whole
            raise IdTaken
        return success("Image successfully uploaded", data=segments[0])


# --- Requests under way ---------------------------------------------------------------------

ASKED_FOR = (Run.Kind.SEARCH, Run.Kind.DETECT, Run.Kind.UPLOAD)


def own_run(request: Request, name: str) -> Run | None:
    """A run of whoever asks; None if there is none of that id, or it is another's."""
    try:
        pk = uuid.UUID(name)
    except ValueError:
        return None
    runs = Run.objects.filter(kind__in=ASKED_FOR, requested_by=asker(request))
    return runs.filter(pk=pk).first()


def stop(run: Run) -> bool:
    """Cancel a run; whether there was anything left to cancel."""
    with suppress(AlreadyEnded):
        services.cancel(run)
        return True
    return False


class CancelView(LegacyView):
    """POST /cancel_upload/<id> and /cancel_processing/<id>"""

    done = "Request {} marked for cancellation"
    gone = "Request {} not found or already completed"

    def post(self, request: Request, name: str) -> Response:
        run = own_run(request, name)
        if run is None or not stop(run):
            raise NotFound(self.gone.format(name[:100]))
        return Response(self.answer(self.done.format(run.pk)))

    def answer(self, message: str) -> dict[str, Any]:
        return {"success": True, "message": message}

    def failure(self, message: str) -> dict[str, Any]:
        return {"success": False, "message": message}


class CancelSearchView(CancelView):
    """POST /cancel_request/<id>"""

    def answer(self, message: str) -> dict[str, Any]:
        return {"status": "success", "message": message}

    def failure(self, message: str) -> dict[str, Any]:
        return {"status": "error", "message": message}


class RecentView(LegacyView):
    """GET /request_status/recent"""

    def get(self, request: Request) -> Response:
        """One's own requests under way, newest first.

        Those of strangers, and of keys for searching alone, are known by their id.
        """
        runs = Run.objects.none()
        person = asker(request)
        if person is not None and HasHistory().has_permission(request, self):
            live = [Run.State.PENDING, Run.State.RUNNING]
            runs = Run.objects.filter(kind__in=ASKED_FOR, requested_by=person, state__in=live)
        now = time.time()
        requests = [
            {"id": str(run.pk), "timestamp": (at := run.created_at.timestamp()), "age": now - at}
            for run in runs.filter(cancel_requested=False)
        ]
        return Response({"requests": requests})


class StatusView(LegacyView):
    """GET /request_status/<id>"""

    def get(self, request: Request, name: str) -> Response:
        run = own_run(request, name)
        if run is None:
            return Response({"status": "not_found"}, HTTPStatus.NOT_FOUND)
        if run.cancel_requested or run.state == Run.State.CANCELLED:
            return Response({"status": "cancelled"})
        if run.has_ended:
            return Response({"status": "not_found"}, HTTPStatus.NOT_FOUND)
        return Response({"status": "processing"})


class CleanupView(LegacyView):
    """POST /cleanup_requests"""

    def post(self, request: Request) -> Response:
        """Nothing is left to do: requests are rows, and the worker looks after them."""
        self.asked(CleanupSerializer)
        return Response({"status": "success", "message": "Cleaned up stale requests"})


# --- Items ----------------------------------------------------------------------------------


class DetailView(LegacyView):
    """POST /image_detail"""

    def post(self, request: Request) -> Response:
        segment = answers.segment_called(self.asked(ItemSerializer)["splitted_image_id"])
        return Response({"success": True, "message": answers.details(segment)})


class RowsView(CropUploadView):
    """POST /splitted_images"""

    def post(self, request: Request) -> Response:
        """Add an item with its picture."""
        asked = self.asked(RowSerializer)
        return self.added(asked["splitted_image_data"], asked["splitted_image_id"])


class RowView(LegacyView):
    """/splitted_images/<id>"""

    def get_permissions(self) -> list[Any]:
        wanted = {"PUT": "catalog.change_originalimage", "DELETE": "catalog.delete_originalimage"}
        permission = wanted.get(str(self.request.method))
        return [AllowAny() if permission is None else needs(permission)()]

    def get(self, request: Request, name: str) -> Response:
        return Response({"success": True, "data": answers.row(answers.segment_called(name))})

    def put(self, request: Request, name: str) -> Response:
        """Refuse: what is known of a garment was seen in its picture."""
        answers.segment_called(name)
        given = request.data if isinstance(request.data, Mapping) else {}
        if not any(field in given for field in CHANGEABLE):
            return Response(self.failure(f"Give one of {', '.join(CHANGEABLE)}."), 400)
        raise Refused("An item follows from its picture. Delete it, and upload another picture.")

    def delete(self, request: Request, name: str) -> Response:
        delete_segment(answers.segment_called(name))
        return success("The item was deleted.")


class OriginalView(LegacyView):
    """GET /splitted_images/by_original/<id>"""

    def get(self, request: Request, name: str) -> Response:
        rows = [answers.row(segment) for segment in answers.segments_of(name)]
        return Response({"success": True, "data": rows})


class HistoryView(LegacyView):
    """GET /search_history/<id>"""

    permission_classes = [IsPerson]

    def get(self, request: Request, name: str) -> Response:
        """One of one's own searches."""
        run = own_run(request, name)
        if run is None or run.kind != Run.Kind.SEARCH or run.expires_at is not None:
            raise NotFound("There is no such search.")
        return Response({"success": True, "message": answers.past(run)})


# --- Accounts -------------------------------------------------------------------------------


def account(user: User) -> dict[str, Any]:
    """The front end knows two roles: who may change the catalogue, and who may not."""
    role = "admin" if user.has_perm(ADD) else "user"
    return {"user_id": user.pk, "email": user.email or user.get_username(), "role": role}


def tokens(given: Tokens) -> dict[str, Any]:
    return {"access_token": given.access, "refresh_token": given.refresh}


class LegacyAuthView(LegacyView):
    """For whoever has still to show who they are."""

    authentication_classes = AuthView.authentication_classes


class RegisterView(LegacyAuthView):
    """POST /api/auth/register"""

    throttle_classes = GUARDED

    def post(self, request: Request) -> Response:
        """Add a shopper's account; `is_admin` is not for them to say."""
        asked = self.asked(RegistrationSerializer)
        user = accounts.register(**asked)
        data = {"user_id": None if user is None else user.pk, "email": asked["email"]}
        message = "Registered." if user else "Follow the link in the e-mail, then sign in."
        return Response({"success": True, "message": message, "data": data}, HTTPStatus.CREATED)


class LoginView(LegacyAuthView):
    """POST /api/auth/login"""

    throttle_classes = GUARDED

    def post(self, request: Request) -> Response:
        asked = self.asked(SignInSerializer)
        given = accounts.sign_in(request._request, asked["email"], asked["password"])
        return success("Signed in.", data=account(given.user) | tokens(given))


class RefreshView(LegacyAuthView):
    """POST /api/auth/refresh"""

    def post(self, request: Request) -> Response:
        given = provider().refresh(self.asked(RefreshSerializer)["refresh_token"])
        return success("Refreshed.", data=tokens(given))


class LogoutView(LegacyAuthView):
    """POST /api/auth/logout"""

    def post(self, request: Request) -> Response:
        """End the sign-in that the shown token belongs to, and no other."""
        with suppress(InvalidToken):  # it has ended already
            if (token := credentials_of(request, "Bearer")) is not None:
                provider().sign_out_by(token)
        return success("Signed out.", data=None)


class AccountView(LegacyView):
    """GET /api/auth/user"""

    permission_classes = [IsPerson]

    def get(self, request: Request) -> Response:
        data = account(asker(request))
        return success("Signed in.", data=data | {"is_admin": data["role"] == "admin"})
