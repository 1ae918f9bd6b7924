"""What a restored service must be able to answer, as its users would ask it (content/applications/<service>.yml)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated

from pydantic import Field, model_validator

from egovctl.checks import content
from egovctl.checks.context import Context
from egovctl.checks.model import Model, Name, Text
from egovctl.drill.causes import Cause
from egovctl.drill.judging import Finding, finding
from egovctl.i18n import told


class Question(Model):
    """A query of one value, and what that must be: exactly `equals`, or a number of `at_least`."""

    title: Text
    sql: Annotated[str, Field(min_length=1)]
    equals: str | None = None
    at_least: float | None = None

    @model_validator(mode="after")
    def _one_expectation(self) -> Question:
        if (self.equals is None) == (self.at_least is None):
            raise ValueError(told("equals 与 at_least 应写且只写一个", "say either equals or at_least"))
        return self

    def satisfied(self, answer: str) -> bool:
        """Whether that is a good answer."""
        if self.equals is not None:
            return answer == self.equals
        try:
            return self.at_least is not None and float(answer) >= self.at_least
        except ValueError:
            return False


class Application(Model):
    """The questions to one service; `id` is the service's name in the plan."""

    id: Name
    questions: Annotated[tuple[Question, ...], Field(min_length=1)]


def questions_to(context: Context, service: str) -> tuple[Question, ...]:
    """The questions to a service; none when nobody wrote any. UsageError when its file is broken."""
    shelf = content.read_shelf("application", Application, content.folders_of_applications(context.inventory))
    if service not in shelf.entries and service not in shelf.broken:
        return ()
    application: Application = shelf.get(service)
    return application.questions


def answers(questions: Iterable[Question], ask: Callable[[str], str]) -> Iterator[Finding]:
    """A finding for each answer that is not as it must be."""
    for question in questions:
        said = ask(question.sql)
        if not question.satisfied(said):
            wanted = question.equals if question.equals is not None else f">= {question.at_least:g}"
            yield finding(
                Cause.ROWS_LOST,
                f"应用问题“{question.title.zh}”的答案是 {said[:60]}，应为 {wanted}",
                f"the application's question “{question.title.en}” was answered {said[:60]}, not {wanted}",
            )
