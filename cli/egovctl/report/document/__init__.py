"""The one engine of all reports: a document of sections, tables and charts, written as HTML, PDF, DOCX or XLSX."""

from egovctl.report.document.model import (
    Bar,
    BarChart,
    Block,
    Cell,
    Column,
    Document,
    Line,
    LineChart,
    Links,
    Mark,
    Paragraph,
    Section,
    Strip,
    StripChart,
    Table,
)
from egovctl.report.document.write import FORMATS, content, refuse_existing, write

__all__ = [
    "FORMATS",
    "Bar",
    "BarChart",
    "Block",
    "Cell",
    "Column",
    "Document",
    "Line",
    "LineChart",
    "Links",
    "Mark",
    "Paragraph",
    "Section",
    "Strip",
    "StripChart",
    "Table",
    "content",
    "refuse_existing",
    "write",
]
