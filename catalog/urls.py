"""The catalogue's part of the API. Segments are `similarity`'s, which adds likeness to them, and
products `shop`'s, which adds their pictures."""

from rest_framework.routers import SimpleRouter

from catalog.views import CategoryViewSet, ImageViewSet

router = SimpleRouter()
router.register("categories", CategoryViewSet)
router.register("images", ImageViewSet, basename="image")

urlpatterns = router.urls
