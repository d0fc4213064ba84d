"""docs/retriever.md shows the reports beside it."""

from docs.generate.retriever_figures import BEGIN, END, PAGE, with_figures


def test_the_figures_are_those_of_the_reports() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == with_figures(written), "python -m docs.generate.retriever_figures"


def test_only_what_is_made_is_replaced() -> None:
    page = f"before\n{BEGIN}old\n{END}after\n"
    made = with_figures(page)
    assert made.startswith(f"before\n{BEGIN}\n")
    assert made.endswith(f"\n{END}after\n")
    assert "old" not in made
    assert with_figures(made) == made
