"""PDF by WeasyPrint, and charts as pictures for formats that take no SVG."""

from __future__ import annotations

import io
import logging
import shutil
import subprocess
from typing import Any

from egovctl.errors import CannotMeasure
from egovctl.i18n import told
from egovctl.report.document.charts import WIDTH, svg
from egovctl.report.document.html import html
from egovctl.report.document.model import Chart, Document

PACKAGES = "libpango-1.0-0 libpangoft2-1.0-0 fonts-noto-cjk"
SCALE = 3  # points of a picture for each of the drawing: sharp on paper


def pdf(document: Document) -> bytes:
    """The document as a PDF with tags for screen readers; CannotMeasure when this machine cannot write its letters."""
    return _written(html(document), document.language)


def picture(chart: Chart) -> bytes:
    """The chart as PNG."""
    import pypdfium2

    drawn = svg(chart)
    height = int(drawn.split(f'viewBox="0 0 {WIDTH} ', 1)[1].split('"', 1)[0])
    style = f"@page {{ size: {WIDTH}px {height}px; margin: 0 }} body {{ margin: 0 }} svg {{ display: block }}"
    page = pypdfium2.PdfDocument(_written(f"<style>{style}</style>{drawn}", "zh"))[0]
    stream = io.BytesIO()
    page.render(scale=SCALE).to_pil().save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _written(page: str, language: str) -> bytes:
    weasyprint = _weasyprint(language)
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    content: bytes = weasyprint.HTML(string=page, url_fetcher=_nothing).write_pdf(pdf_tags=True)
    return content


def _weasyprint(language: str) -> Any:
    try:
        import weasyprint
    except OSError:
        raise CannotMeasure(
            told(
                f"本机没有 Pango，无法排版 PDF 和图片：请运行 apt-get install {PACKAGES}",
                f"there is no Pango on this machine to set a PDF or a picture with: apt-get install {PACKAGES}",
            )
        ) from None
    if language == "zh" and not _has_chinese():
        raise CannotMeasure(
            told(
                "本机没有中文字体，PDF 和图片中的汉字会成为方框：请运行 apt-get install fonts-noto-cjk",
                "no font of this machine has Chinese letters, which a PDF or a picture needs: "
                "apt-get install fonts-noto-cjk",
            )
        )
    return weasyprint


def _has_chinese() -> bool:
    """Whether fontconfig knows a font for Chinese; where its program is not there, nobody can say."""
    program = shutil.which("fc-list")
    if program is None:
        return True
    done = subprocess.run([program, ":lang=zh-cn", "family"], capture_output=True, timeout=30, check=False)
    return bool(done.stdout.strip())


def _nothing(url: str, *_: object, **__: object) -> dict[str, Any]:
    """A report is whole in itself; whatever it would fetch is an error of ours."""
    raise ValueError(f"a report fetches nothing, and this wants {url}")
