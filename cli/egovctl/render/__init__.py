"""Plan + public keys + role defaults → the intended configuration of every host, as files to read and diff."""

from egovctl.render.engine import Rendered, render_city, secret_names, secret_names_of
from egovctl.render.write import write_build

__all__ = ["Rendered", "render_city", "secret_names", "secret_names_of", "write_build"]
