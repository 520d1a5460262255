"""What a shop's server asks for, over REST."""

from rest_framework.routers import SimpleRouter

from shop.views import EventViewSet, ImportViewSet, ProductViewSet

router = SimpleRouter()
router.register("products", ProductViewSet)
router.register("imports", ImportViewSet, basename="import")
router.register("events", EventViewSet, basename="event")

urlpatterns = router.urls
