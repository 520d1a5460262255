"""`manage.py index_words`: the words of all products, written anew."""

from django.core.management import call_command

from catalog.models import Product, ProductWord
from catalog.services import save_product


def rows():
    return sorted(ProductWord.objects.values_list("product", "word", "weight"))


def test_it_mends_what_was_changed_past_the_program(db, capsys, monkeypatch):
    monkeypatch.setattr("catalog.word_index.BATCH", 2)
    for number in range(5):
        save_product(f"P-{number}", name=f"Red coat {number}", tags=["warm"])
    before = rows()
    ProductWord.objects.filter(word="warm").delete()
    ProductWord.objects.filter(word="red").update(weight=1)
    ProductWord.objects.create(product=Product.objects.first(), word="stale", weight=5)
    call_command("index_words")
    assert rows() == before
    assert "Words of 5 products written." in capsys.readouterr().out
