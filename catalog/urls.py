"""The catalogue's part of the API. Segments are `similarity`'s, which adds likeness to them."""

from rest_framework.routers import SimpleRouter

from catalog.views import CategoryViewSet, ImageViewSet, ProductViewSet

router = SimpleRouter()
router.register("categories", CategoryViewSet)
router.register("images", ImageViewSet, basename="image")
router.register("products", ProductViewSet)

urlpatterns = router.urls
