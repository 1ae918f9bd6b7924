"""Boards: dashboards/boards/*.yml, pages of panels that name signals; one model for Grafana and for our own pages."""

from egovctl.boards.model import Board, Panel, Shown
from egovctl.boards.read import read_boards

__all__ = ["Board", "Panel", "Shown", "read_boards"]
