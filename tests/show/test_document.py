import re

from PIL import Image

from ich_jax.show.document import Heading, Picture, Table, Text, write_report


def test_both_forms_hold_every_part_and_the_html_needs_no_other_file(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "dot.png")
    parts = [
        Heading("Results"),
        Text("see `python -m x` & more"),
        Table("Table 1. Toy", ("class", "n"), [("<none>", "3")]),
        Picture("Fig. 1", tmp_path / "dot.png"),
    ]
    write_report(tmp_path, "Ran on toy.", "A report", parts)
    markdown, html = ((tmp_path / f"report.{kind}").read_text(encoding="utf-8") for kind in ("md", "html"))
    assert markdown.startswith("**Ran on toy.**\n\n# A report\n\n## Results\n")
    assert "### Table 1. Toy\n\n| class | n |\n|---|---:|\n| <none> | 3 |" in markdown
    assert "![Fig. 1](dot.png)" in markdown
    assert html.index("Ran on toy.") < html.index("<h1>A report</h1>") < html.index("<h2>Results</h2>")
    assert "see <code>python -m x</code> &amp; more" in html
    assert "<td>&lt;none&gt;</td>" in html
    assert re.search(r'<img alt="Fig. 1" src="data:image/png;base64,[A-Za-z0-9+/=]+">', html)
    assert not re.search(r'(src|href)="(?!data:)', html)
