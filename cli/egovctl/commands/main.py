"""egovctl: the verbs, and how an error is told."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from egovctl.errors import EgovError
from egovctl.i18n import set_language, tr

# verb → module; a module is imported only when its verb is used, so that each command starts fast.
VERBS = {
    "plan": "egovctl.commands.plan",
    "render": "egovctl.commands.render",
    "lab": "egovctl.commands.lab",
    "assess": "egovctl.commands.assess",
    "drill": "egovctl.commands.drill",
    "evidence": "egovctl.commands.evidence",
    "report": "egovctl.commands.report",
    "serve": "egovctl.commands.serve",
    "doctor": "egovctl.commands.doctor",
}


class LazyGroup(click.Group):
    """A group whose commands live in modules of their own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = getattr(import_module(VERBS[cmd_name]), cmd_name)
        return command


def _language(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    set_language(value)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="egov-suite", prog_name="egovctl")
@click.option(
    "--lang",
    type=click.Choice(["zh", "en"]),
    is_eager=True,
    expose_value=False,
    callback=_language,
    help="Language of what is printed; else LANG decides. / 输出语言，默认由 LANG 决定。",
)
def cli() -> None:
    """Plan, build, measure, assess and rehearse a city's e-government network.

    电子政务网络的规划、建设、监测、测评与演练。
    """


def _refused(error: OSError) -> str:
    """What the system refused, in one sentence: the file as far as it is known, and the system's reason."""
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno == errno.ENOSPC:
        reason += tr("（请腾出空间后再运行）", " (make room, then run this again)")
    elif error.errno in (errno.EACCES, errno.EPERM):
        reason += tr("（请以有权限的用户运行）", " (run this as a user who may do that)")
    name = error.filename if error.filename is not None else error.filename2
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    if isinstance(name, str) and name:
        return f"{name}: {reason}"
    return tr(f"系统拒绝了操作：{reason}", f"the system refused: {reason}")


def main(arguments: list[str] | None = None) -> None:
    """Run one command; exits 0 good, 1 the judged thing failed, 2 usage, 3 could not measure, 4 internal."""
    try:
        code: Any = cli.main(args=arguments, prog_name="egovctl", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except EgovError as error:
        for line in str(error).splitlines():
            click.echo(f"{tr('错误', 'error')}: {line}", err=True)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo(tr("已中断。", "interrupted"), err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if os.environ.get("EGOV_DEBUG"):
            traceback.print_exc()
        click.echo(f"{tr('错误', 'error')}: {_refused(error)}", err=True)
        sys.exit(3)
    except Exception as error:
        if os.environ.get("EGOV_DEBUG"):
            traceback.print_exc()
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        text = tr("内部错误", "internal error")
        hint = tr("设置 EGOV_DEBUG=1 可看到完整信息", "set EGOV_DEBUG=1 for the whole story")
        click.echo(f"{text}: {type(error).__name__} ({where}): {error}; {hint}", err=True)
        sys.exit(4)
