"""`nmt-demo`: the live demo in the browser."""

from __future__ import annotations

import sys
from pathlib import Path

from nmt.cli.common import command, parser, positive, thread_count, whole_number
from nmt.errors import UserError

EXAMPLES = """\
  nmt-demo                                        then open http://127.0.0.1:8000/
  nmt-demo --checkpoints my/checkpoints --model tatoeba-en-es
  nmt-demo --port 9000 --rate 5 --queue 200
  curl -s http://127.0.0.1:8000/api/translate -H 'Content-Type: application/json' -d '{"text": "Good morning."}'"""


def main(arguments: list[str]) -> None:
    """Parse the arguments and serve."""
    options = make_parser().parse_args(arguments)
    if not 0 < options.rate <= 1e6:  # nan is not
        raise UserError(f"--rate is {options.rate}; it must be more than 0 and at most 1,000,000")
    try:
        from nmt.demo.app import Settings, create_app
        from nmt.demo.server import announce, listen, serve
    except ImportError as error:
        raise UserError(f"nmt-demo needs {error.name}: run pip install -e '.[demo]' in the clone") from error
    from nmt.checkpoint import find_checkpoint
    from nmt.demo.models import Models

    shipped = find_checkpoint()
    directory = Path(options.checkpoints) if options.checkpoints else shipped.parent
    model = options.model or (shipped.name if (directory / shipped.name).is_dir() else None)
    models = Models(directory, model, options.threads)
    listener = listen(options.host, options.port)
    anywhere = listener.getsockname()[0] in ("0.0.0.0", "::")  # however it was spelled
    hosts = ("*",) if anywhere else (*Settings.hosts, options.host)
    settings = Settings(options.max_characters, options.rate, options.burst, options.queue, hosts)
    serve(create_app(models, settings), listener, ready=lambda: announce(listener))


def make_parser():
    """The command's arguments."""
    arguments = parser("nmt-demo", "Serve a web page that translates and shows the alignment as one types.", EXAMPLES)
    arguments.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine alone)"
    )
    arguments.add_argument(
        "--port", type=whole_number(0, 65535), default=8000, help="port; 0 takes a free one (default: 8000)"
    )
    arguments.add_argument(
        "--checkpoints", metavar="DIR", help="directory of checkpoints (default: where the shipped ones are)"
    )
    arguments.add_argument("--model", metavar="NAME", help="the checkpoint that is chosen at first")
    arguments.add_argument("--threads", type=thread_count, metavar="N", help="CPU threads (default: all cores)")
    arguments.add_argument(
        "--max-characters", type=positive, default=500, metavar="N", help="longest text that is taken (default: 500)"
    )
    arguments.add_argument(
        "--rate", type=float, default=20.0, metavar="N", help="requests a second that one client may make (default: 20)"
    )
    arguments.add_argument(
        "--burst",
        type=positive,
        default=60,
        metavar="N",
        help="requests that one client may make at once (default: 60)",
    )
    arguments.add_argument(
        "--queue", type=positive, default=64, metavar="N", help="requests under way or waiting at most (default: 64)"
    )
    return arguments


entry = command("nmt-demo", main)

if __name__ == "__main__":
    sys.exit(entry())
