"""`plvm serve` and `plvm keys`: the API, and the keys that open it."""

from __future__ import annotations

import os
import re
import sys
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option, Typer

from plvm.cli import options as o
from plvm.cli.console import out, out_json, say, table
from plvm.cli.verbs import add_verb
from plvm.errors import RequestError
from plvm.runtime import home_folder

if TYPE_CHECKING:
    from plvm.server.audit import AuditLog
    from plvm.server.limits import Limits
    from plvm.vllm.wire import Vllm

KEY_FILE = "keys.json"
PACKAGES = {"fastapi", "uvicorn", "multipart", "python_multipart", "prometheus_client"}
keys_ = Typer(no_args_is_help=True, rich_markup_mode=None, help="Make and revoke the keys of a server.")


def register(app: Typer) -> None:
    add_verb(app, "serve", serve, "Serving")
    add_verb(keys_, "new", new_key, usage="NAMESPACE")
    add_verb(keys_, "list", list_keys)
    add_verb(keys_, "revoke", revoke_key, usage="ID")
    app.add_typer(keys_, name="keys", rich_help_panel="Serving")


@keys_.callback()
def keys() -> None:
    """Make and revoke the keys of a server."""


KeysOption = Annotated[
    Path | None,
    Option("--keys", metavar="FILE", help="The file of API keys.", show_default=f"{KEY_FILE} in your data folder"),
]


@dataclass(frozen=True)
class LoadOptions:
    """How much is done at once."""

    batch: Annotated[int, Option("--batch", metavar="N", help="So many answers are written side by side.")] = 16
    queue: Annotated[int, Option("--queue", metavar="N", help="So many requests may wait; more are told to come again.")] = 64
    seconds: Annotated[float, Option("--seconds", metavar="S", help="The longest that an answer may take.")] = 120.0
    per_minute: Annotated[int, Option("--per-minute", metavar="N", help="Requests a key may send; 0: any number.")] = 0

    def limits(self) -> Limits:
        """The limits of a server that does so much. Raises RequestError."""
        from plvm.server.limits import Limits

        if min(self.batch, self.queue) < 1 or self.seconds <= 0 or self.per_minute < 0:
            raise RequestError("--batch, --queue and --seconds must be above 0, --per-minute not below.", "Correct them.")
        return Limits(batch=self.batch, queue=self.queue, seconds=self.seconds, per_minute=self.per_minute)


@dataclass(frozen=True)
class EngineOptions:
    """What computes the answers."""

    engine: Annotated[
        tuple[str, str] | None,
        Option("--engine", metavar="vllm URL", help="A vLLM server that runs the model's backbone; its key: VLLM_API_KEY.",
               show_default="computed here"),
    ] = None  # fmt: skip

    def vllm(self) -> Vllm | None:
        """The vLLM server; None: there is none. Raises RequestError."""
        if self.engine is None:
            return None
        kind, url = self.engine
        if kind != "vllm":
            raise RequestError(f"There is no engine {kind[:40]!r}.", "Write --engine vllm URL, or leave it out.")
        from plvm.vllm.wire import Vllm

        return Vllm(url, os.environ.get("VLLM_API_KEY", ""))


@dataclass(frozen=True)
class BrowserOptions:
    """What browsers have to do with a server."""

    open: Annotated[bool, Option("--open", help="Open the page in a browser, where there is one.")] = False
    allow_origin: Annotated[
        list[str] | None, Option("--allow-origin", metavar="ORIGIN", help="A site whose pages may use this server; repeatable.")
    ] = None

    def origins(self) -> list[str]:
        """The origins whose pages may use the server. Raises RequestError for what is none."""
        for origin in self.allow_origin or ():
            if not re.fullmatch(r"https?://[^/\s]+", origin):
                hint = 'Write it as browsers do: "https://photos.example", without a path.'
                raise RequestError(f"{origin[:80]!r} is no origin.", hint)
        return self.allow_origin or []

    def show(self, address: str) -> None:
        """Open the page where that is wanted and a window can be opened; a browser in the terminal would only take it away."""
        windows = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        if self.open and windows:
            Thread(target=webbrowser.open, args=(address,), daemon=True).start()  # some browsers keep whoever starts them


@dataclass(frozen=True)
class PrivacyOptions:
    """What is noted of callers, and how long concepts are kept."""

    audit: Annotated[
        Path | None, Option("--audit", metavar="FILE", help="Note who did what and when, a line of JSON each; nobody's name.")
    ] = None
    audit_names: Annotated[bool, Option("--audit-names", help="Note the names of concepts there too.")] = False
    retention_days: Annotated[
        int | None,
        Option("--retention-days", metavar="N", help="Forget whom nobody used for more than N days, as `plvm store retain` does; "
               "looked at once a day.", show_default="keep everybody"),
    ] = None  # fmt: skip

    def parts(self) -> tuple[AuditLog | None, int | None]:
        """The log, and the days. Raises RequestError."""
        from plvm.server.audit import AuditLog

        if self.retention_days is not None and self.retention_days < 1:
            raise RequestError("--retention-days has to be 1 or more.", "Leave it out to keep everybody.")
        return None if self.audit is None else AuditLog(self.audit.expanduser(), names=self.audit_names), self.retention_days


def serve(
    host: Annotated[
        str, Option("--host", metavar="ADDRESS", help="Where to listen; elsewhere than here, a key is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, Option("--port", metavar="N", help="The port; 0: any that is free.")] = 8642,
    keys: KeysOption = None,
    *,
    load: LoadOptions,
    engine: EngineOptions,
    browser: BrowserOptions,
    privacy: PrivacyOptions,
    store: o.StoreOptions,
    model: o.ModelOptions,
) -> None:
    """Serve the model over HTTP: a page, and an OpenAI-compatible API that knows your concepts by name.

    Without keys only this machine may ask. With a key (`plvm keys new NAMESPACE`) every request needs one, and sees its
    namespace alone. Ctrl-C ends it once the answers that are being written are whole.

    \b
    Examples:
      plvm serve --open
      plvm serve --host 0.0.0.0 --port 8080
      plvm serve --model llava-aligner --engine vllm http://gpu:8000
    """
    try:
        from plvm.server.keys import KeyFile
        from plvm.server.service import Service
        from plvm.server.serving import check_place
        from plvm.server.serving import serve as run
        from plvm.store.database import Database
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        raise RequestError(f"Serving needs {error.name}.", 'Install it: `pip install "plvm[server]"`.') from None
    if not 0 <= port < 65536:
        raise RequestError(f"{port} is no port.", "A port is a number from 0 to 65535.")
    limits, origins = load.limits(), browser.origins()
    log, days = privacy.parts()
    file = KeyFile(_place(keys))
    check_place(host, len(file.keys))
    database = Database.open(store.place(), secret=store.secret())
    service = Service(
        model.load(engine.vllm()), database, name=Path(model.model).name, namespace=store.namespace, keys=file,
        keys_needed=bool(file.keys), limits=limits, audit=log, days=days,
    )  # fmt: skip
    who = "Every request needs a key." if file.keys else "Only this machine may ask; no key is needed."

    def ready(address: str) -> None:
        say(f"Serving {service.name}: the page at {address}, the API at {address}/v1. {who} Ctrl-C ends it.")
        browser.show(address)

    run(service, host, port, origins=origins, ready=ready)


def new_key(
    namespace: Annotated[str, Argument(metavar="NAMESPACE", help="What the key opens: concepts and files of this namespace.")],
    note: Annotated[str, Option("--note", metavar="TEXT", help="Whose key it is.")] = "",
    keys: KeysOption = None,
) -> None:
    """Make a key. It is shown once; the file keeps only its hash."""
    from plvm.server.keys import KeyFile

    file = KeyFile(_place(keys))
    out(file.new(namespace, note))
    say(f"This key opens the namespace {namespace}. It is shown only now; {file.path} keeps its hash.")


def list_keys(keys: KeysOption = None, json: o.Json = False) -> None:
    """List the keys: what each opens, since when."""
    from plvm.server.keys import KeyFile

    found = KeyFile(_place(keys)).keys
    if json:
        out_json([{"id": k.id, "namespace": k.namespace, "created": k.created, "note": k.note} for k in found])
    elif found:
        out(table([(k.id, k.namespace, k.created, k.note) for k in found], ("ID", "NAMESPACE", "CREATED", "NOTE")))
    else:
        say("There are no keys. Make one: `plvm keys new NAMESPACE`.")


def revoke_key(
    id: Annotated[str, Argument(metavar="ID", help="The key's id, as `plvm keys list` shows it.")], keys: KeysOption = None
) -> None:
    """Let a key open nothing any more, at once, also in a server that runs."""
    from plvm.server.keys import KeyFile

    gone = KeyFile(_place(keys)).revoke(id)
    say(f"The key {gone.id} of the namespace {gone.namespace} opens nothing any more.")


def _place(keys: Path | None) -> Path:
    return keys.expanduser() if keys is not None else home_folder(os.environ).value / KEY_FILE
